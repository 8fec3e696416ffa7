"""``cineheart propagate``, and what ``cineheart mesh --propagate`` does first: carry one slice through a stack."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from BiVMeshLib.propagation import Propagation, PropagationOptions, SlicePropagation
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.geometry import apply
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers import read_image, read_labels
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, LabelMap
from CardiacLib.types.landmarks import read_landmarks
from CardiacLib.writers.images import write_labels, write_segmentation_nrrd
from CardiacSegLib.function import end_frames
from cineheart.outputs import write_rows

from .segment_mesh_train import PHASES, frame_number


@dataclass(frozen=True)
class PropagateChoices:
    """What a command is told about slice propagation.

    Attributes:
        image: short-axis image file.
        options: start and base slice, RV wall.
        landmarks: ``landmarks.json`` of the image's frames, whose valve points tell the base.
        device, backend: what runs the networks.
    """

    image: Path
    options: PropagationOptions | None = None
    landmarks: Path | None = None
    device: str = "auto"
    backend: str = "auto"

    def run(self, labels: LabelMap | None, frame: str | None, progress: Progress = silent) -> "PropagatedFrame":
        """Propagate in one frame of the image; from ``labels`` on its grid, or from the initialization network.

        Args:
            labels: of all frames of the image, or of the one that ``frame`` names.
            frame: ed, es (of the labels) or a number from 0; None is 0, unless the labels are of one frame of several.
            progress: called with the fraction done.

        Raises:
            InputError: files, frame, slices or points cannot be used, or do not belong together.
        """
        cine = read_image(self.image)
        number = self._frame(frame, labels, cine)
        points = None if self.landmarks is None else self._points(number, labels, cine)
        progress(0.1, "loading the networks")
        networks = SlicePropagation(device=self.device, backend=self.backend)
        found = networks(cine, number, labels, self.options, part(progress, 0.2, 1.0), points)
        return PropagatedFrame(found, number, points)

    def _frame(self, text: str | None, labels: LabelMap | None, cine: Cine) -> int:
        count = cine.n_frames if labels is None else len(labels.labels)
        if count not in (cine.n_frames, 1):
            raise InputError(
                f"{labels.source}: has {count} frames, {self.image} has {cine.n_frames}; give labels of the same "
                "frames, or of one of them."
            )
        if text in PHASES and labels is None:
            raise InputError(f"--frame {text}: ED and ES are told from labels; give --labels or a frame number.")
        if text in (*PHASES, None) and count < cine.n_frames:
            raise InputError(
                f"{labels.source}: has the labels of one frame, {self.image} has {cine.n_frames} frames; say with "
                f"--frame 0 to {cine.n_frames - 1} which of them is labelled."
            )
        if text in PHASES:
            return end_frames(labels.volume_ml(LV))[PHASES.index(text)]
        return frame_number(text or "0", cine.n_frames)

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


def propagate_image(
    choices: PropagateChoices, labels: Path | None, order: str, frame: str | None, output: Path, progress: Progress
) -> tuple[dict[str, object], tuple[str, ...]]:
    """``cineheart propagate``: labels at 1.25 mm, a segmentation for Slicer, and the confidence of every slice.

    Args:
        choices: image, slices and what runs the networks.
        labels: label file on the image's grid; None starts from the initialization network.
        order: of the label values, as of ``read_labels``.
        frame: as of :meth:`PropagateChoices.run`.
        output: folder for the files of Docs/formats.md.
        progress: of the whole.

    Returns:
        Facts and notes to show.
    """
    given = None if labels is None else read_labels(labels, order)
    propagated = choices.run(given, frame, part(progress, 0.0, 0.9))
    found, number = propagated.found, propagated.number
    with atomic_directory(output) as folder:
        write_labels(folder / "labels.nii.gz", found.labels)
        write_segmentation_nrrd(folder / "segmentation.seg.nrrd", found.labels)
        write_rows(folder / "confidence.csv", confidence_rows(found))
        write_json(folder / "propagation.json", facts_of(found) | {"frame": number, "notes": list(found.notes)})
    return facts_of(found) | {"frame": number}, found.notes


def confidence_rows(found: Propagation) -> list[dict[str, object]]:
    """One row per slice of 1.25 mm: its number, LPS centre, and the confidence of the myocardium, empty where NaN."""
    depth, rows, columns = found.labels.labels.shape[1:]
    slices = np.arange(depth)
    middles = np.stack(np.broadcast_arrays((columns - 1) / 2, (rows - 1) / 2, slices), -1)
    lines = []
    for z, centre, value in zip(slices, apply(found.labels.ijk_to_lps, middles), found.confidence, strict=True):
        place = {f"{axis}_mm": round(float(mm), 3) for axis, mm in zip("xyz", centre, strict=True)}
        confidence = "" if np.isnan(value) else round(float(value), 4)
        lines.append({"slice": int(z), **place, "confidence": confidence})
    return lines


def facts_of(found: Propagation) -> dict[str, object]:
    """What there is to say about a propagation, ready for JSON."""
    sure = found.confidence[np.isfinite(found.confidence)]
    return {
        "start_slice": found.start_slice,
        "base_slice": found.base_slice,
        "slices": len(sure),
        "mean_confidence": round(float(sure.mean()), 3),
        "least_confidence": round(float(sure.min()), 3),
    }
