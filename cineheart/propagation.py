"""``cineheart propagate``, and what ``cineheart mesh --propagate`` does first: carry one slice through a stack."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from BiVMeshLib.propagation import Propagation, PropagationOptions, SlicePropagation
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.labels import LV, LabelMap
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers import read_image, read_labels
from CardiacLib.writers import write_labels, write_segmentation_nrrd
from CardiacSegLib.function import end_frames

from .commands import frame_number
from .outputs import write_rows


@dataclass(frozen=True)
class PropagateChoices:
    """What a command is told about slice propagation.

    Attributes:
        image: short-axis image file.
        options: start and base slice, RV wall.
        device, backend: what runs the networks.
    """

    image: Path
    options: PropagationOptions | None = None
    device: str = "auto"
    backend: str = "auto"

    def run(self, labels: LabelMap | None, frame: int, progress: Progress = silent) -> Propagation:
        """Propagate in one frame of the image; from ``labels`` on its grid, or from the initialization network.

        Raises:
            InputError: names the file.
        """
        cine = read_image(self.image)
        if not 0 <= frame < cine.n_frames:
            raise InputError(f"{self.image}: has frames 0 to {cine.n_frames - 1}, not {frame}.")
        progress(0.1, "loading the networks")
        networks = SlicePropagation(device=self.device, backend=self.backend)
        return networks(cine, frame, labels, self.options, part(progress, 0.2, 1.0))


def propagate_image(
    choices: PropagateChoices, labels: Path | None, order: str, frame: str, output: Path, progress: Progress
) -> tuple[dict[str, object], tuple[str, ...]]:
    """``cineheart propagate``: labels at 1.25 mm, a segmentation for Slicer, and the confidence of every slice.

    Args:
        choices: image, slices and what runs the networks.
        labels: label file on the image's grid; None starts from the initialization network.
        order: of the label values, as of ``read_labels``.
        frame: ed, es (of the labels) or a number from 0.
        output: folder for the files of Docs/formats.md.
        progress: of the whole.

    Returns:
        Facts and notes to show.
    """
    given = None if labels is None else read_labels(labels, order)
    number = _frame(frame, given)
    found = choices.run(given, number, part(progress, 0.0, 0.9))
    with atomic_directory(output) as folder:
        write_labels(folder / "labels.nii.gz", found.labels)
        write_segmentation_nrrd(folder / "segmentation.seg.nrrd", found.labels)
        write_rows(folder / "confidence.csv", confidence_rows(found))
        write_json(folder / "propagation.json", facts_of(found) | {"frame": number, "notes": list(found.notes)})
    return facts_of(found) | {"frame": number}, found.notes


def confidence_rows(found: Propagation) -> list[dict[str, object]]:
    """One row per slice of 1.25 mm: its number, LPS centre, and the confidence of the myocardium."""
    depth, rows, columns = found.labels.labels.shape[1:]
    centre = np.array([(columns - 1) / 2, (rows - 1) / 2, 0.0, 1.0])
    lines = []
    for z in range(depth):
        centre[2] = z
        x, y, h = (found.labels.ijk_to_lps @ centre)[:3]
        value = found.confidence[z]
        confidence = "" if np.isnan(value) else round(float(value), 4)
        place = {"x_mm": round(x, 3), "y_mm": round(y, 3), "z_mm": round(h, 3)}
        lines.append({"slice": z, **place, "confidence": confidence})
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


def _frame(text: str, labels: LabelMap | None) -> int:
    if labels is None:
        if text in ("ed", "es"):
            raise InputError(f"--frame {text}: ED and ES are told from labels; give --labels or a frame number.")
        return int(text) if text.isdigit() else frame_number(text, 1)
    if text in ("ed", "es"):
        ed, es = end_frames(labels.volume_ml(LV))
        return ed if text == "ed" else es
    return frame_number(text, len(labels.labels))
