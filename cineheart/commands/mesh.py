"""``cineheart mesh`` on one label map."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from BiVMeshLib.exporters import DEFAULT_FORMATS
from BiVMeshLib.result import MeshChoice, MeshResult
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, require_output
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers import read_labels
from CardiacLib.types.choices import INITIALIZATION_BUNDLE, PROPAGATION_BUNDLE
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import Landmarks, read_landmarks
from CardiacLib.types.mesh_options import MeshOptions
from cineheart import steps
from cineheart.console import Answer, Counted
from cineheart.outputs import MOTION_NAMES, write_mesh
from cineheart.provenance import Provenance, provenance

from .propagation import PropagateFile

WHOLE_CYCLE = "all"
"""Frame that stands for end-diastole carried over the cycle."""


@dataclass(frozen=True)
class MeshFile:
    """What ``cineheart mesh`` can be told about a label map.

    Attributes:
        mesh: frame, mesher and motion.
        order: of the label values, as of ``read_labels``.
        formats: files to write.
        landmarks: a ``landmarks.json`` of the same frames, whose valve points carry the base.
        propagate: mesh what slice propagation makes of the labels and their image; frames are then those of the image.
    """

    mesh: MeshChoice = field(default_factory=MeshChoice)
    order: str = "auto"
    formats: tuple[str, ...] = DEFAULT_FORMATS
    landmarks: Path | None = None
    propagate: PropagateFile | None = None


def mesh_choice(frame: str, options: MeshOptions, *, valve_rings: bool = False) -> MeshChoice:
    """What ``--frame`` says: one frame, or WHOLE_CYCLE."""
    whole = frame == WHOLE_CYCLE
    return MeshChoice("ed" if whole else frame, options, motion=whole, valve_rings=valve_rings)


def mesh_labels(path: Path, output: Path, options: MeshFile | None = None, *, progress: Progress = silent) -> Answer:
    """Mesh one label map and write the mesh."""
    options = options or MeshFile()
    require_output(output)
    made = mesh_of_file(path, options, progress=part(progress, 0.0, 0.95))
    with atomic_directory(output, replace=MOTION_NAMES) as folder:
        write_mesh(made, folder, options.formats)
        provenance_of(path, options, output).stamp(folder)
    mesh = made.mesh
    facts = {
        "frame": Counted(made.frame),
        "nodes": len(mesh.nodes),
        "tetrahedra": len(mesh.tets),
    } | mesh.quality.to_dict()
    lines = {name: f"{line} {'met' if line.met else 'MISSED'}" for name, line in mesh.quality.lines().items()}
    return Answer(facts | {"lines": lines}, mesh.notes)


def provenance_of(path: Path, options: MeshFile, output: Path) -> Provenance:
    """Of a mesh of one label file."""
    carried = options.propagate
    bundles = [PROPAGATION_BUNDLE, INITIALIZATION_BUNDLE] if carried else []
    return provenance([path, options.landmarks, carried.image if carried else None], bundles, output=output)


def mesh_of_file(path: Path, options: MeshFile, *, progress: Progress = silent) -> MeshResult:
    """Mesh of one frame of a label file, and its motion where that is asked for.

    Raises:
        InputError: names the file.
    """
    if options.mesh.valve_rings and options.landmarks is None:
        raise InputError(steps.NO_RINGS)
    labels = read_labels(path, options.order)
    if options.propagate is not None:
        return _mesh_of_propagation(path, labels, options, progress)
    valves = _valves_of(options.landmarks, labels)
    try:
        return steps.mesh(labels, options.mesh, valves=valves, progress=progress).complete()
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def _mesh_of_propagation(path: Path, labels: LabelMap, options: MeshFile, progress: Progress) -> MeshResult:
    """Mesh of what slice propagation makes of the labels; the frame is the image's."""
    if options.mesh.motion:
        raise InputError("--propagate works on one frame; choose --frame ed, es or a number.")
    made = options.propagate.run(labels, options.mesh.frame, part(progress, 0.0, 0.3))
    # Propagation has moved the slices, if that was asked for.
    choice = replace(options.mesh, frame=0, options=replace(options.mesh.options, align_slices=False))
    try:
        result = steps.mesh(made.found.labels, choice, valves=made.landmarks(), progress=part(progress, 0.3, 1.0))
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error
    mesh = replace(result.mesh, notes=(*made.found.notes, *result.mesh.notes))
    return replace(result, mesh=mesh, frame=made.number)


def _valves_of(path: Path | None, labels: LabelMap) -> Landmarks | None:
    """The valve points of the labels' frames, if a file of them is given."""
    if path is None:
        return None
    valves = read_landmarks(path)
    if len(valves.points) != len(labels.labels):
        raise InputError(
            f"{path}: has the valve points of {len(valves.points)} frames, {labels.source or 'the label map'} has "
            f"{len(labels.labels)}; give those of the same frames."
        )
    return valves
