"""The label values of CineHeart, with the names, colours and SNOMED CT codes of ``CineHeartColors.csv``.

0 background, 1 LV blood pool, 2 LV myocardium, 3 RV blood pool, 4 RV wall (made by BiVMesh only).
Other data sets' orders are mapped in the reader of that data set and nowhere else.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.file_grid import USUAL_GRID, FileGrid
from CardiacLib.geometry import voxel_ml
from CardiacLib.resources import resource_path

from .cine import Cine
from .times import checked_times, times_at
from .values import job_value

TERMINOLOGY_CONTEXT = "Segmentation category and type - CineHeart"
"""Name of the terminology in ``CineHeart.term.json``: Slicer's own lists have no myocardium."""

BACKGROUND, LV, MYO, RV, RV_WALL = range(5)


@dataclass(frozen=True)
class Structure:
    """One labelled structure: value, display name, RGB in 0..255, terminology as (scheme, code, meaning)."""

    label: int
    name: str
    rgb: tuple[int, int, int]
    category: tuple[str, str, str]
    type: tuple[str, str, str]

    @property
    def terminology(self) -> str:
        """Category and type as Slicer keeps them in a segment's terminology tag (no modifier, no region)."""
        category, kind = "^".join(self.category), "^".join(self.type)
        return f"{TERMINOLOGY_CONTEXT}~{category}~{kind}~^^~Anatomic codes - DICOM master list~^^~^^"


@cache
def structures() -> dict[int, Structure]:
    """All structures by label value, read from the shared colour table (a Slicer colour node reads the same file)."""
    with open(resource_path("CineHeartColors.csv"), newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    found = {}
    for row in rows:
        label = int(row["LabelValue"])
        found[label] = Structure(
            label=label,
            name=row["Name"],
            rgb=(int(row["Color_R"]), int(row["Color_G"]), int(row["Color_B"])),
            category=_code(row, "Category"),
            type=_code(row, "Type"),
        )
    return found


def _code(row: dict[str, str], kind: str) -> tuple[str, str, str]:
    return row[f"{kind}_CodingScheme"], row[f"{kind}_CodeValue"], row[f"{kind}_CodeMeaning"]


@job_value
@dataclass(frozen=True)
class LabelMap:
    """Labels of every frame on the grid of their images.

    Attributes:
        labels: uint8 (T, K, J, I), values as above.
        ijk_to_lps: float64 (4, 4), voxel index (i, j, k, 1) at the voxel centre to LPS mm.
        times_ms: float64 (T,), as of the images; None where their files give no time.
        source: path or name of what was labelled, for messages and reports.
        notes: what the reader repaired or assumed, one sentence each.
        grid: how the voxels lay in the file, and whether it gave their size.

    Example:
        >>> import numpy as np
        >>> labels = np.zeros((1, 2, 10, 10), np.uint8)  # frame, slice, row, column
        >>> labels[0, 0, 2:4, 2:7] = 1  # ten voxels of the LV's blood pool
        >>> LabelMap(labels, np.diag([1.0, 1.0, 10.0, 1.0]), times_ms=None).volume_ml(1).round(3).tolist()
        [0.1]
    """

    labels: np.ndarray
    ijk_to_lps: np.ndarray
    times_ms: np.ndarray | None
    source: str = ""
    notes: tuple[str, ...] = ()
    grid: FileGrid = USUAL_GRID

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels)
        where = self.source or "the label map"
        if labels.ndim != 4 or 0 in labels.shape:
            raise InputError(f"{where}: labels must be (T, K, J, I) without empty axes, got shape {labels.shape}.")
        if labels.dtype != np.uint8:
            raise InputError(f"{where}: labels must be uint8, got {labels.dtype}.")
        if labels.max() > RV_WALL:
            unknown = np.unique(labels[labels > RV_WALL]).tolist()
            raise InputError(f"{where}: unknown label values {unknown}; CineHeart knows 0 to 4 (see Docs/formats.md).")
        times = checked_times(self.times_ms, len(labels), where)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "ijk_to_lps", np.asarray(self.ijk_to_lps, np.float64))
        object.__setattr__(self, "times_ms", times)

    @classmethod
    def of(cls, labels: np.ndarray, cine: Cine) -> "LabelMap":
        """Labels, uint8 (T, K, J, I), of the frames of a cine."""
        return cls(labels, cine.ijk_to_lps, cine.times_ms, cine.source, grid=cine.grid)

    @property
    def n_frames(self) -> int:
        return len(self.labels)

    @property
    def voxel_ml(self) -> float:
        """Volume that one voxel stands for, slice gap included, in ml."""
        return voxel_ml(self.ijk_to_lps)

    def only(self, frames: Sequence[int]) -> "LabelMap":
        """The labels of some frames."""
        chosen = list(frames)
        return replace(self, labels=self.labels[chosen], times_ms=times_at(self.times_ms, chosen))

    def volume_ml(self, label: int) -> np.ndarray:
        """(T,) volume of one label in every frame, in ml."""
        return (self.labels == label).sum(axis=(1, 2, 3)) * self.voxel_ml


def largest_piece(mask: np.ndarray, structure: np.ndarray | None = None) -> np.ndarray:
    """The largest piece of a mask of any dimension.

    Args:
        mask: bool.
        structure: of SciPy's ``ndimage.label``, which elements hold together; without it those that share a face.
    """
    from scipy import ndimage

    pieces, count = ndimage.label(mask, structure)
    if count < 2:
        return mask
    return pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])


def likeliest(probabilities: np.ndarray) -> np.ndarray:
    """Channel of the greatest value, the first of equals: (N, C, H, W) to uint8 (N, H, W).

    As ``argmax(1)``, which strides over the channels and takes about eight times as long.
    """
    greatest = probabilities[:, 0].copy()
    winner = np.zeros(greatest.shape, np.uint8)
    for channel in range(1, probabilities.shape[1]):
        values = probabilities[:, channel]
        np.copyto(winner, channel, where=values > greatest)
        np.maximum(greatest, values, out=greatest)
    return winner
