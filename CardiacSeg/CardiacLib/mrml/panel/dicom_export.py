"""A segmentation of the scene as DICOM Segmentations of the study that it was made from: for panel and scripts."""

import importlib.metadata
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory
from CardiacLib.mrml.nodes.cines import ijk_to_lps_of
from CardiacLib.mrml.nodes.dicom_files import files_of
from CardiacLib.mrml.nodes.segmentations import images_of, labels_from_node
from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.mrml.translation import _
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import SegmentChoice
from CardiacLib.types.labels import LabelMap
from CardiacLib.writers.dicom_seg import DICOM_SEG_NAMES
from CardiacLib.writers.dicom_seg_study import DicomSegChoice
from CardiacLib.writers.dicom_sr import DICOM_SR_NAME

from .controls import set_enabled
from .dependencies import ensure_dependencies
from .module_panel import ModulePanel
from .processes import JobRequest, Worker, run_blocking
from .results import result_of
from .scratch import Scratch
from .studies import source_of

HIGHDICOM = "highdicom>=0.27"
"""What the export needs beyond the other workers; part of Slicer since 5.12."""


@dataclass(frozen=True)
class DicomExport:
    """What of a segmentation is exported.

    Attributes:
        study: folder of the DICOM files; empty for the one that the segmentation's images were loaded from.
        frame: ``all``, ``shown`` (of a sequence), or the number from 0 of the frame that is wanted, or that a single
            segmentation shows.
        bundle: the network, if nobody has edited the segments; else they are marked as semi-automatic.
        measured: how the segmentation of all frames is measured for a DICOM report; None writes no report.
    """

    study: str | Path = ""
    frame: str | int = "all"
    bundle: str = ""
    measured: SegmentChoice | None = None


def export_dicom_seg(
    segmentation, folder: str | Path, wanted: DicomExport, *, worker: Worker, progress: Progress = silent
) -> list[Path]:
    """Write a segmentation node as DICOM SEG, in a worker process, and wait.

    The files are ``segmentation.dcm``, or ``segmentation_dicom/frame_000.dcm`` ... of several frames, on the grid of
    the study's short-axis images; ``measurements.dcm`` where they are measured.

    Args:
        segmentation: of one frame, or the proxy of a segmentation sequence with as many frames as the study.
        folder: for the results; made if it is not there. Earlier ones in it are replaced.
        wanted: study and frames.
        worker: runs the job.
        progress: called with (fraction, message); may raise Cancelled.

    Returns:
        the files.

    Raises:
        InputError: no DICOM study, no frame number for a segmentation of one frame, or it lies beside the images.
    """
    work = Scratch("dicom")
    try:
        run_blocking(dicom_seg_request(segmentation, work.path, wanted), worker, progress)
        return _deliver(work.path, Path(folder))
    finally:
        work.remove()


def dicom_seg_request(segmentation, work: str | Path, wanted: DicomExport) -> JobRequest:
    """The worker's job of :func:`export_dicom_seg`; ``work`` is an existing folder for its files."""
    name, volume = segmentation.GetName(), images_of(segmentation)
    source = source_of(volume) if volume is not None else None
    files = () if wanted.study else files_of(volume)
    study = wanted.study or (source.path if source is not None and source.dicom else "")
    if files and not study:
        study = Path(files[0]).parent
    if not study:
        raise InputError(f"'{name}': it is not known which DICOM study it was made from; name its folder.")
    labels = labels_from_node(segmentation, volume)
    if volume is not None:  # a transform moves it in the scene, not in the study
        labels = replace(labels, ijk_to_lps=labels.grid.columns_of_file(ijk_to_lps_of(volume)))
    browser, sequence = sequence_of(segmentation)
    frames = None
    if sequence is None:
        frames = None if wanted.frame in ("all", "shown") else (int(wanted.frame),)
    elif wanted.frame != "all":
        frames = (browser.GetSelectedItemNumber() if wanted.frame == "shown" else int(wanted.frame),)
        labels = _only(labels, frames[0])
    choice = DicomSegChoice(
        frames=frames,
        time_ms=result_of(segmentation).facts.get("time_ms"),
        bundle=wanted.bundle,
        same_grid=volume is not None,
        files=files,
    )
    arguments = {"folder": str(work), "labels": labels, "study": str(Path(study).resolve()), "choice": choice}
    if wanted.measured is not None:
        arguments["measured"] = wanted.measured
    return JobRequest("dicom_seg", arguments)


def _ensure_highdicom(requester: str) -> None:
    """Raise what ``ensure_dependencies`` raises; Slicer 5.10 brings a pydicom that must stay and is too old."""
    if int(importlib.metadata.version("pydicom").split(".")[0]) < 3:
        raise InputError("DICOM segmentations need pydicom 3, which Slicer brings since version 5.12.")
    ensure_dependencies(requester, optional=(HIGHDICOM,))


def _only(labels: LabelMap, frame: int) -> LabelMap:
    if not 0 <= frame < len(labels.labels):
        raise InputError(f"'{labels.source}' has frames 0 to {len(labels.labels) - 1}, not {frame}.")
    return labels.only([frame])


def _deliver(work: Path, folder: Path) -> list[Path]:
    """Move the worker's files to where they are wanted, all or none."""
    with atomic_directory(folder, replace=(*DICOM_SEG_NAMES, DICOM_SR_NAME)) as target:
        for item in work.iterdir():
            shutil.move(item, target)
        written = sorted(path.relative_to(target) for path in target.rglob("*.dcm"))
    return [folder / path for path in written]


class DicomExportSection:
    """Drives ``dicomButton`` of the segmentation panel; the files are written in the panel's worker.

    Args:
        panel: that the button belongs to; its parameters have ``segmentation``.
        measure_choice: how the panel's parameters say that a segmentation is measured.
    """

    def __init__(self, panel: ModulePanel, measure_choice: Callable[..., SegmentChoice]):
        self._panel, self._measure_choice = panel, measure_choice
        panel.ui.dicomButton.connect("clicked(bool)", lambda checked=False: self._export())

    def update(self, parameters) -> None:
        """Enable the button, or say why not; ``parameters`` may be None."""
        tip = _(
            "Write the segmentation, edits included, as DICOM segmentations of the images: one file per frame; and its "
            "measurements, with the corrections above, as a DICOM report."
        )
        set_enabled(self._panel.ui.dicomButton, tip, self._panel.running_or(self._reason(parameters)))

    def _reason(self, parameters) -> str:
        if parameters is None or not parameters.segmentation:
            return _("There is no segmentation yet: press Apply.")
        volume = images_of(parameters.segmentation)
        if volume is None:
            return _("The segmentation does not know its images; make it by Apply.")
        source = source_of(volume)
        if source is not None and not source.dicom:
            text = _("'{name}' was not read from DICOM files, and a DICOM segmentation has to name them.")
            return text.format(name=volume.GetName())
        return ""

    def _export(self) -> None:
        import qt

        chosen = self._panel.parameters
        segmentation = chosen.segmentation
        volume = images_of(segmentation)
        known = bool(files_of(volume))
        study = "" if known else self._study_of(volume)
        title = _("Folder for the DICOM segmentations")
        folder = (known or study) and qt.QFileDialog.getExistingDirectory(self._panel.widget.parent, title)
        if not folder:  # the user pressed Cancel
            return
        work = Scratch("dicom")

        def make_request() -> JobRequest:
            _ensure_highdicom(self._panel.widget.moduleName)
            return dicom_seg_request(segmentation, work.path, DicomExport(study, measured=self._measure_choice(chosen)))

        def done(nothing) -> str:
            count = len(_deliver(work.path, Path(folder)))
            text = _("DICOM segmentations and report ({count} files) are in {folder}.")
            return text.format(count=count, folder=folder)

        def clean_up(stopped: bool) -> None:
            work.remove()

        self._panel.start(make_request, done, on_end=clean_up)

    def _study_of(self, volume) -> str:
        """The folder of a volume's DICOM files: known where the study was loaded by a panel, else the user is asked."""
        import qt

        source = source_of(volume)
        if source is not None and Path(source.path).exists():
            return source.path
        title = _("Folder of the DICOM files of '{name}'").format(name=volume.GetName())
        return qt.QFileDialog.getExistingDirectory(self._panel.widget.parent, title)
