"""The smaller commands, each one function: read, work, write atomically, return the facts to show."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from BiVMeshLib import build_mesh
from BiVMeshLib.check.limits import line_text
from BiVMeshLib.exporters import choose_formats
from BiVMeshLib.motion import move_mesh
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory
from CardiacLib.networks.bundles import bundle_path, read_config
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers import read_image, read_labels
from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, LabelMap
from CardiacLib.types.landmarks import Landmarks, read_landmarks
from CardiacLib.writers.dicom_seg import DICOM_SEG_NAMES, require_dicom_seg, write_dicom_seg
from CardiacSegLib import measure
from CardiacSegLib.function import end_frames
from CardiacSegLib.quality import assess
from cineheart.network import NetworkOptions
from cineheart.outputs import require_scene_support, write_mesh, write_segmentation

PHASES = ("ed", "es")
SOMETIMES_WRITTEN = ("segmentation.seg.nrrd", "segmentation.seq.mrb", "segments.csv", *DICOM_SEG_NAMES)
"""What ``cineheart segment`` writes in some cases only: an earlier one must not stay beside new labels."""


def segment_image(
    image: Path,
    output: Path,
    network: NetworkOptions,
    frames: str,
    papillary: str,
    scene: bool,
    progress: Progress,
    landmarks: Path | None = None,
    dicom_seg: bool = False,
) -> dict[str, object]:
    """``cineheart segment``. ED and ES are known once all frames are labelled, a numbered frame is labelled alone.

    ``landmarks`` is a ``landmarks.json`` of the same frames, at whose valve planes the ventricles then end.
    """
    cine = read_image(image)
    if dicom_seg:
        require_dicom_seg(cine)
    points = None if landmarks is None else read_landmarks(landmarks)
    phases = [phase for phase in frames.split(",") if phase in PHASES]
    if len(phases) != len(frames.split(",")) and frames != "all":
        number = frame_number(frames, cine.n_frames)
        if points is not None and len(points.points) == cine.n_frames:
            points = Landmarks(points.points[[number]], points.times_ms[[number]])
        cine = one_frame(cine, number)
    if scene and (len(phases) or cine.n_frames) > 1:
        require_scene_support()
    found = network.open().segment(cine, part(progress, 0.1, 0.9), points)
    labels = found.labels
    known = [cine.patient.get(fact) for fact in ("heart_rate_bpm", "height_m", "weight_kg")]
    function = measure(labels, *known, papillary, cine, found.cut)
    quality = assess(labels, function, found.statistics, network.bundle)
    chosen = sorted({getattr(function, phase) for phase in phases}) or list(range(cine.n_frames))
    labels = replace(labels, labels=labels.labels[chosen], times_ms=labels.times_ms[chosen])
    with atomic_directory(output, replace=SOMETIMES_WRITTEN) as folder:
        write_segmentation(labels, function, folder, scene, quality)
        if dicom_seg:
            write_dicom_seg(folder, labels, cine, chosen, network.bundle)
    return {
        "frames": len(labels.labels),
        "slices": cine.n_slices,
        "lv_edv_ml": rounded(function.lv_edv_ml),
        "lv_esv_ml": rounded(function.lv_esv_ml),
        "lv_ef_percent": rounded(function.lv_ef_percent),
        "lv_mass_g": rounded(function.lv_mass_g),
        "quality": quality.light,
        "quality_reasons": list(quality.reasons),
    }


def one_frame(cine: Cine, number: int) -> Cine:
    """The cine of one frame alone."""
    one = slice(number, number + 1)
    return cine.with_changes(frames=cine.frames[one], times_ms=cine.times_ms[one], files=cine.files[one])


def mesh_labels(
    path: Path, output: Path, choices: dict[str, object], progress: Progress
) -> tuple[dict[str, object], tuple[str, ...]]:
    """``cineheart mesh`` on one label map; ``choices`` as for :func:`mesh_of_file`, and the export ``formats``."""
    chosen = choose_formats(choices["formats"])
    mesh, number, moving = mesh_of_file(path, choices, part(progress, 0.0, 0.95))
    with atomic_directory(output, replace=("motion", "motion.pvd")) as folder:
        write_mesh(mesh, folder, chosen, moving)
    facts = {"frame": number, "nodes": len(mesh.nodes), "tetrahedra": len(mesh.tets)} | mesh.quality
    lines = {
        key: f"{line_text(line)} {'met' if line['met'] else 'MISSED'}" for key, line in mesh.quality["lines"].items()
    }
    return facts | {"lines": lines}, mesh.notes


def mesh_of_file(
    path: Path, choices: dict[str, object], progress: Progress = silent
) -> tuple[BiVMesh, int, MovingMesh | None]:
    """Mesh of one frame of a label file, the frame's number, and the mesh over the cycle if all frames are asked for.

    Args:
        choices: ``frame`` (ed, es, a number, or all: ED carried over the cycle), ``order`` of the label values,
            ``options`` (MeshOptions); perhaps ``landmarks``, a ``landmarks.json`` of the same frames, whose valve
            points then carry the base, and ``propagate`` (PropagateChoices, with the same landmarks), to mesh what
            slice propagation makes of the labels and their image; the frame is then counted in the image.

    Raises:
        InputError: names the file.
    """
    labels, frame, options = read_labels(path, choices["order"]), choices["frame"], choices["options"]
    if choices.get("propagate") is not None:
        return *_mesh_of_propagation(path, labels, choices, progress), None
    ed, es = end_frames(labels.volume_ml(LV))
    known = {"ed": ed, "es": es, "all": ed}
    number = known[frame] if frame in known else frame_number(frame, len(labels.labels))
    valves = _valves_of(choices.get("landmarks"), labels)
    points = None if valves is None else valves.points[number]
    share = 0.3 if frame == "all" else 1.0
    try:
        mesh = build_mesh(labels.labels[number], labels.ijk_to_lps, options, part(progress, 0.0, share), points)
        if frame != "all":
            return mesh, number, None
        return mesh, number, move_mesh(mesh, labels, number, options, valves, part(progress, share, 1.0))
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def _mesh_of_propagation(path: Path, labels: LabelMap, choices: dict, progress: Progress) -> tuple[BiVMesh, int]:
    """Mesh of what slice propagation makes of the labels, and the image's frame."""
    if choices["frame"] == "all":
        raise InputError("--propagate works on one frame; choose --frame ed, es or a number.")
    options = replace(choices["options"], align_slices=False)  # propagation has done it, if it was asked for
    made = choices["propagate"].run(labels, choices["frame"], part(progress, 0.0, 0.3))
    grid = made.found.labels
    try:
        mesh = build_mesh(grid.labels[0], grid.ijk_to_lps, options, part(progress, 0.3, 1.0), made.points)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error
    return replace(mesh, notes=(*made.found.notes, *mesh.notes)), made.number


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


def frame_number(text: str, count: int) -> int:
    """The frame that ``text`` names, counted from 0, of ``count`` frames; InputError if it is none."""
    try:
        number = int(text)
    except ValueError as error:
        raise InputError(f"--frame(s) {text}: is neither a phase (ed, es) nor a frame number.") from error
    if not 0 <= number < count:
        raise InputError(f"--frame(s) {number}: the image has frames 0 to {count - 1}.")
    return number


def make_phantom_study(
    output: Path, choices: dict[str, object], small: bool, dicom: bool, progress: Progress
) -> dict[str, object]:
    """``cineheart phantom``; ``choices`` are fields of PhantomOptions."""
    from CardiacLib.phantom import PhantomOptions, make_phantom, write_phantom

    options = PhantomOptions.small(**choices) if small else PhantomOptions(**choices)
    phantom = make_phantom(options, part(progress, 0.0, 0.8))
    write_phantom(phantom, output, dicom, part(progress, 0.8, 1.0))
    function = measure(phantom.labels)
    return {
        "frames": len(phantom.labels.labels),
        "true_lv_edv_ml": rounded(float(np.max(phantom.volumes["lv"]))),
        "true_lv_esv_ml": rounded(float(np.min(phantom.volumes["lv"]))),
        "label_lv_ef_percent": rounded(function.lv_ef_percent),
    }


def train_bundle(
    bundle: str, data: Path, output: Path, epochs: int | None, device: str, progress: Progress, fold: int | None = None
) -> Path:
    """``cineheart train``: train a copy of the bundle in ``output`` and return the copy's folder.

    Does what ``python -m monai.bundle run`` on the bundle's train.json does, with progress. The shipped bundle stays
    as it is; the copy can be used wherever a bundle is asked for.
    """
    import monai

    from CardiacLib.networks.device import choose_device
    from CardiacLib.training.engine import train
    from cineheart.evaluate.learning_curve import draw_learning_curve

    source = bundle_path(bundle)
    folder = output / source.name
    overrides = {
        "bundle_root": str(folder),
        "dataset_dir": str(data),
        "output_dir": str(folder / "training"),
        "device": choose_device(device),
    }
    overrides |= {name: value for name, value in (("epochs", epochs), ("fold", fold)) if value is not None}
    parser = read_config(source, "train", **overrides)
    monai.utils.set_determinism(parser.get_parsed_content("seed"))
    try:
        trainer = parser.get_parsed_content("trainer")
    except RuntimeError as error:  # MONAI wraps what the component itself raised
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        if isinstance(error.__cause__, FileNotFoundError):
            raise InputError(f"{error.__cause__.filename}: there are no such training data.") from error
        raise
    if "training" in parser:
        from CardiacLib.training.monai_engine import MonaiTraining

        trainer = MonaiTraining(trainer, parser.get_parsed_content("validator"), folder / "training")
    for part_of_bundle in ("configs", "docs"):
        shutil.copytree(source / part_of_bundle, folder / part_of_bundle, dirs_exist_ok=True)
    train(trainer, folder, progress)
    draw_learning_curve(folder / "training" / "log.csv", folder / "training" / "learning_curve.png")
    return folder


def rounded(value: float | None) -> float | None:
    """One decimal, for people."""
    return None if value is None else round(value, 1)
