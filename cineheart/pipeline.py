"""The main job: one study from its images to labels, function, mesh, report and scene."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from BiVMeshLib import MeshOptions, build_mesh
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers import Study, read_study, require_cine_stack
from CardiacSegLib import measure
from CardiacSegLib.quality import assess

from .network import NetworkOptions
from .outputs import require_scene_support, write_mesh, write_segmentation, write_study_summary
from .report import write_report
from .results import StudyResult
from .scene import write_scene


@dataclass(frozen=True)
class RunOptions:
    """What ``cineheart run`` can be told.

    Attributes:
        network: for the short axis, and how it is run.
        views: the view of a series or file where geometry should not decide, by series description, UID or file name.
        mesh: options of the mesh.
        scene: write ``scene.mrb`` and ``segmentation.seq.mrb`` (needs slicer-core outside Slicer).
        papillary: ``cavity`` or ``myocardium``, where volumes and mass count the papillary muscles.
    """

    network: NetworkOptions = field(default_factory=NetworkOptions)
    views: dict[str, str] = field(default_factory=dict)
    mesh: MeshOptions = field(default_factory=MeshOptions)
    scene: bool = True
    papillary: str = "cavity"


class _Clock:
    """Wall time of the named steps, in the order they ran."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def run_study(
    source: Path, output: Path, options: RunOptions | None = None, progress: Progress = silent
) -> StudyResult:
    """Process one study folder and write all results into ``output``, atomically.

    A study whose mesh cannot be built keeps its other results; ``notes`` and the report then say why.

    Raises:
        InputError: the study cannot be used; nothing is written.
    """
    options = options or RunOptions()
    clock = _Clock()
    if options.scene:
        require_scene_support()
    with clock.step("read"):
        study = read_study(source, options.views or None, part(progress, 0.0, 0.1))
        require_cine_stack(study.cines["sax"])
    result = _analyse(study, options, clock, progress)
    with atomic_directory(output, replace=("mesh", "scene.mrb")) as folder:
        write_all(result, folder, options.scene, clock, part(progress, 0.75, 1.0))
    return result


def _analyse(study: Study, options: RunOptions, clock: _Clock, progress: Progress) -> StudyResult:
    with clock.step("segment"):
        found = options.network.open().segment(study.cines["sax"], part(progress, 0.1, 0.4))
        labels = found.labels
    with clock.step("measure"):
        known = ("heart_rate_bpm", "height_m", "weight_kg")
        facts = [study.patient.get(fact) for fact in known]
        function = measure(labels, *facts, options.papillary, study.cines["sax"])
        if function.lv_edv_ml is None:
            raise InputError(
                f"{study.source}: the network found no left ventricle in the short-axis stack; "
                "check that it is a cine of the ventricles."
            )
    with clock.step("check"):
        quality = assess(labels, function, found.statistics, options.network.bundle)
    mesh, notes = None, found.notes
    with clock.step("mesh"):
        try:
            frame = labels.labels[function.ed]
            mesh = build_mesh(frame, labels.ijk_to_lps, options.mesh, part(progress, 0.4, 0.75))
        except InputError as error:
            notes = (*notes, f"No mesh: {error}")
    return StudyResult(study, labels, function, mesh, clock.seconds, notes, options.network.bundle, quality)


def write_all(result: StudyResult, folder: Path, scene: bool, clock: _Clock, progress: Progress) -> None:
    """Write every file of the contract into ``folder``."""
    with clock.step("write labels and measurements"):
        progress(0.0, "writing labels and measurements")
        write_segmentation(result.labels, result.function, folder / "segmentation", scene, result.quality)
    if result.mesh is not None:
        with clock.step("write mesh"):
            progress(0.2, "writing the mesh")
            write_mesh(result.mesh, folder / "mesh")
    if scene:
        with clock.step("write scene"):
            progress(0.3, "writing the scene")
            write_scene(result, folder / "scene.mrb")
    with clock.step("write report"):
        progress(0.7, "writing the report")
        write_report(result, folder / "report.html")
    write_study_summary(result, folder / "study.json")
    progress(1.0, "done")
