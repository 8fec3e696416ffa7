"""``cineheart propagate``, and what ``cineheart mesh --propagate`` does first: carry one slice through a stack."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from BiVMeshLib.propagation import Propagation
from BiVMeshLib.result import PropagateChoice
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, require_output, write_json
from CardiacLib.geometry import apply
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers import read_labels
from CardiacLib.readers.cases import read_one_image
from CardiacLib.types.choices import INITIALIZATION_BUNDLE, PROPAGATION_BUNDLE
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import Landmarks, read_landmarks
from CardiacLib.writers.images import write_labels, write_segmentation_nrrd
from cineheart import steps
from cineheart.console import Answer, Counted
from cineheart.outputs import write_rows
from cineheart.provenance import provenance


@dataclass(frozen=True)
class PropagateFile:
    """What a command is told about slice propagation.

    Attributes:
        image: short-axis image file.
        choice: slices, evidence, and what runs the networks.
        landmarks: ``landmarks.json`` of the image's frames, whose valve points tell the base.
    """

    image: Path
    choice: PropagateChoice = field(default_factory=PropagateChoice)
    landmarks: Path | None = None

    def run(self, labels: LabelMap | None, frame: str | int | None, progress: Progress = silent) -> "PropagatedFrame":
        """Propagate in one frame of the image; from ``labels`` on its grid, or from the initialization network.

        Args:
            labels: of all frames of the image, or of the one that ``frame`` names.
            frame: ed, es (of the labels) or a number from 0; None is 0, unless the labels are of one frame of several.
            progress: called with the fraction done.

        Raises:
            InputError: files, frame, slices or points cannot be used, or do not belong together.
        """
        cine = read_one_image(self.image)
        number = self._frame(frame, labels, cine)
        points = None if self.landmarks is None else self._points(number, labels, cine)
        found = steps.propagate(
            cine, number, self.choice, labels=labels, valves=points, progress=part(progress, 0.1, 1.0)
        )
        read = dict.fromkeys((*cine.notes, *(labels.notes if labels is not None else ())))
        found = replace(found, notes=(*read, *found.notes))
        return PropagatedFrame(found, number, points)

    def _frame(self, which: str | int | None, labels: LabelMap | None, cine: Cine) -> int:
        count = cine.n_frames if labels is None else len(labels.labels)
        if count not in (cine.n_frames, 1):
            raise InputError(
                f"{labels.source}: has {count} frames, {self.image} has {cine.n_frames}; give labels of the same "
                "frames, or of one of them."
            )
        if which in steps.PHASES and labels is None:
            raise InputError(f"--frame {which}: ED and ES are told from labels; give --labels or a frame number.")
        if which in (*steps.PHASES, None) and count < cine.n_frames:
            raise InputError(
                f"{labels.source}: has the labels of one frame, {self.image} has {cine.n_frames} frames; say with "
                f"--frame 0 to {cine.n_frames - 1} which of them is labelled."
            )
        if which in steps.PHASES:
            return steps.frame_number(which, labels)
        return steps.number_of(which or 0, cine.n_frames)

    def _points(self, number: int, labels: LabelMap | None, cine: Cine) -> np.ndarray:
        """(10, 3) valve points of a frame; a file of one frame goes with labels of one frame."""
        valves = read_landmarks(self.landmarks).points
        if len(valves) == cine.n_frames:
            return valves[number]
        if labels is not None and len(valves) == len(labels.labels) == 1:
            return valves[0]
        raise InputError(
            f"{self.landmarks}: has the valve points of {len(valves)} frames, {self.image} has {cine.n_frames} frames; "
            "give those of the same frames."
        )


@dataclass(frozen=True)
class PropagatedFrame:
    """A propagation, the frame of the image that it is of, and that frame's (10, 3) valve points if there are any."""

    found: Propagation
    number: int
    points: np.ndarray | None

    def landmarks(self) -> Landmarks | None:
        """The valve points as those of the propagated labels' only frame."""
        return None if self.points is None else Landmarks(self.points[None], self.found.labels.times_ms)


@dataclass(frozen=True)
class LabelFile:
    """Labels to start from.

    Attributes:
        path: label file on the image's grid; None starts from the initialization network.
        order: of the label values, as of ``read_labels``.
        frame: as of :meth:`PropagateFile.run`.
    """

    path: Path | None = None
    order: str = "auto"
    frame: str | None = None


def propagate_image(image: PropagateFile, labels: LabelFile, output: Path, *, progress: Progress = silent) -> Answer:
    """``cineheart propagate``: labels at 1.25 mm, a segmentation for Slicer, and the confidence of every slice.

    Args:
        image: with slices and what runs the networks.
        labels: to start from.
        output: folder for the files of Docs/formats.md.
        progress: of the whole.
    """
    require_output(output)
    given = None if labels.path is None else read_labels(labels.path, labels.order)
    propagated = image.run(given, labels.frame, part(progress, 0.0, 0.9))
    found, facts = propagated.found, facts_of(propagated)
    files, bundles = [image.image, labels.path, image.landmarks], [PROPAGATION_BUNDLE, INITIALIZATION_BUNDLE]
    made_of = provenance(files, bundles, output=output)
    with atomic_directory(output) as folder:
        write_labels(folder / "labels.nii.gz", found.labels)
        write_segmentation_nrrd(folder / "segmentation.seg.nrrd", found.labels)
        write_rows(folder / "confidence.csv", confidence_rows(found))
        write_json(folder / "propagation.json", Answer(facts, found.notes).document())
        made_of.stamp(folder)
    return Answer(facts, found.notes)


def confidence_rows(found: Propagation) -> list[dict[str, object]]:
    """One row per slice of 1.25 mm: its number, LPS centre, and the confidence of the myocardium, empty where NaN."""
    depth, rows, columns = found.labels.labels.shape[1:]
    slices = np.arange(depth)
    middles = np.stack(np.broadcast_arrays((columns - 1) / 2, (rows - 1) / 2, slices), -1)
    lines = []
    for z, centre, value in zip(slices, apply(found.labels.ijk_to_lps, middles), found.confidence, strict=True):
        place = {f"{axis}_mm": round(float(mm), 3) for axis, mm in zip("xyz", centre, strict=True)}
        confidence = "" if np.isnan(value) else round(float(value), 4)
        lines.append({"slice_index": int(z), **place, "confidence": confidence})
    return lines


def facts_of(propagated: PropagatedFrame) -> dict[str, object]:
    """What there is to say about a propagation."""
    found = propagated.found
    sure = found.confidence[np.isfinite(found.confidence)]
    return {
        "start_slice": Counted(found.start_slice, what="slice"),
        "base_slice": Counted(found.base_slice, what="slice"),
        "slices": len(sure),
        "mean_confidence": round(float(sure.mean()), 3),
        "least_confidence": round(float(sure.min()), 3),
        "frame": Counted(propagated.number),
    }
