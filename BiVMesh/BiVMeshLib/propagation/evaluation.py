"""Accuracy of slice propagation against experts' labels: Dice of the myocardium per slice and below the base."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from BiVMeshLib.prepare.labels_check import check_labels
from CardiacLib.errors import InputError
from CardiacLib.metrics import dice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap

from .isotropic import SPACING, IsotropicGrid, apex_first, heart_centre, with_apex
from .propagate import MUSCLE
from .stacks import PropagationOptions, SlicePropagation, one_piece, shown_frames

PROPAGATED = {
    "expert's slice alone": ("expert", "none", False),
    "network's slice alone": ("network", "none", False),
    "network": ("network", "network", False),
    "segmentation": ("segmentation", "labels", False),
    "segmentation, aligned": ("segmentation", "labels", True),
}
"""Propagated labels: whose start slice, what is asked in the other slices, whether these are first moved into line. The
first two are the published method, from the expert's and from the initialization network's slice; ``segmentation`` is
a short-axis network's."""
SLICE_WISE = ("network, slice by slice", "segmentation, interpolated")
"""Without propagation: the initialization network on every slice of 1.25 mm; and the short-axis segmentation, by
shape interpolated between its slices."""
METHODS = (*PROPAGATED, *SLICE_WISE)
OF_SEGMENTATION = ("segmentation", "segmentation, aligned", "segmentation, interpolated")
"""Methods that start from the labels of the short-axis network."""
CHANGES = ("noise", "missing", "shifted 5 mm")
SHIFT_MM = 5.0
RV_WALL_MM = 3.0
REFERENCE_SIDE = 144
"""Voxels: 180 mm, room for every heart."""


@dataclass(frozen=True)
class Reference:
    """An expert's labels of one frame on an isotropic grid, apex first.

    Attributes:
        grid: they lie on.
        labels: uint8 (Z, H, W) with the RV wall.
        base: slice of the grid at the base.
        base_slice, start_slice: the base and the middle slice (k) of the stack.
        turned: whether the stack's slices run from base to apex.
    """

    grid: IsotropicGrid
    labels: np.ndarray
    base: int
    base_slice: int
    start_slice: int
    turned: bool

    def stack_place(self, k: int, count: int) -> int:
        """Slice k of a stack of ``count`` slices, counted from the apex."""
        return count - 1 - k if self.turned else k


@dataclass(frozen=True)
class Comparison:
    """One method on one frame.

    Attributes:
        dice: of both ventricles' myocardium, all slices up to the expert's base.
        structures: Dice of LV pool, myocardium, RV pool, RV wall, likewise.
        places: (n,) slices, from the apex on, in which the expert has myocardium.
        slices: (n,) their 2-D Dice.
        labels: what was compared, uint8 (Z, H, W), None where the method failed.
        grid: of the labels.
        error: why it failed.
    """

    dice: float
    structures: tuple[float, ...]
    places: np.ndarray
    slices: np.ndarray
    labels: np.ndarray | None
    grid: IsotropicGrid
    error: str = ""

    @property
    def positions(self) -> np.ndarray:
        """(n,) 1 at the apex to 0 at the base, the last of the places."""
        return (self.places[-1] - self.places) / max(self.places[-1] - self.places[0], 1)


def reference(cine: Cine, true: LabelMap, frame: int) -> Reference:
    """The expert's labels of a frame on a grid round the heart."""
    stack = check_labels(true.labels[frame], true.ijk_to_lps)
    frames, matrix, turned = apex_first(cine.frames[frame], cine.ijk_to_lps, stack)
    grid = IsotropicGrid.round_heart(matrix, frames.shape, heart_centre(stack), REFERENCE_SIDE)
    held = np.flatnonzero(stack.lv[: stack.base + 1].any((1, 2)))
    own = [len(frames) - 1 - int(k) if turned else int(k) for k in (stack.base, held[len(held) // 2])]
    return Reference(grid, grid.labels(stack, RV_WALL_MM), grid.slice_at(stack.base), *own, turned)


def compare_all(
    networks: SlicePropagation,
    cine: Cine,
    true: LabelMap,
    frame: int,
    segmented: LabelMap | None,
    *,
    methods: tuple[str, ...] = METHODS,
) -> dict[str, Comparison]:
    """Every method on one frame; base slice and middle slice, to start from, are the expert's.

    Args:
        networks: to evaluate.
        cine: images; ``true`` and ``segmented`` are on its grid, with as many frames.
        true: the expert's labels.
        frame: of all three.
        segmented: of a short-axis network; None where ``methods`` need none of it.
        methods: of METHODS.
    """
    expert = reference(cine, true, frame)
    sources = {"expert": true, "segmentation": segmented, "network": None}
    found: dict[str, Comparison] = {}
    truths: list[tuple[IsotropicGrid, np.ndarray]] = [(expert.grid, expert.labels)]
    for method in methods:
        try:
            if method in PROPAGATED:
                source, evidence, align = PROPAGATED[method]
                options = PropagationOptions(expert.start_slice, expert.base_slice, evidence, RV_WALL_MM, align)
                labels, grid = _propagated(networks, cine, frame, sources[source], options, expert)
            elif method == "segmentation, interpolated":
                labels, grid = _interpolated(segmented, frame, expert), expert.grid
            else:
                shown = expert.grid.images(_apex_first_frame(cine, frame, expert))
                labels, grid = one_piece(with_apex(networks.initializer(shown).labels, expert.grid)), expert.grid
        except InputError as error:
            found[method] = _failed(expert, str(error))
            continue
        truth = next((labels for other, labels in truths if grid.is_like(other)), None)
        if truth is None:
            truth = _on(grid, true, frame, expert)
            truths.append((grid, truth))
        found[method] = compare(
            labels, truth, grid.slice_at(expert.stack_place(expert.base_slice, cine.n_slices)), grid
        )
    return found


def compare(labels: np.ndarray, truth: np.ndarray, base: int, grid: IsotropicGrid) -> Comparison:
    """Dice of labels (Z, H, W) up to slice ``base``, apex first."""
    labels, truth = labels[: base + 1], truth[: base + 1]
    muscle, real = np.isin(labels, MUSCLE), np.isin(truth, MUSCLE)
    held = np.flatnonzero(real.any((1, 2)))
    slices = np.array([dice(muscle[z], real[z]) for z in held])
    structures = tuple(dice(labels == n, truth == n) for n in (1, 2, 3, 4))
    return Comparison(dice(muscle, real), structures, held, slices, labels, grid)


def spoilt(cine: Cine, slice_: int, change: str, seed: int = 0) -> Cine:
    """The cine with one slice (k) full of noise, empty, or shifted by 5 mm, as CHANGES names them."""
    frames = cine.frames.copy()
    section = frames[:, slice_]
    if change == "noise":
        draw = np.random.default_rng(seed)
        low, high = np.percentile(frames, (1, 99))
        frames[:, slice_] = draw.uniform(low, high, section.shape)
    elif change == "missing":
        frames[:, slice_] = 0.0
    elif change == "shifted 5 mm":
        rows, columns = SHIFT_MM / np.sqrt(2.0) / cine.spacing[1::-1]
        frames[:, slice_] = np.stack([ndimage.shift(f, (rows, columns), order=1, mode="nearest") for f in section])
    else:
        raise ValueError(f"no change '{change}'")
    return cine.with_changes(frames=frames)


def near(comparison: Comparison, expert: Reference, slice_: int, count: int) -> float:
    """Mean 2-D Dice within one slice distance of a slice (k) of a stack of ``count``; 0 where the method failed."""
    if comparison.labels is None:
        return 0.0
    z = comparison.grid.slice_at(expert.stack_place(slice_, count))
    reach = round(float(np.linalg.norm(comparison.grid.stack_to_lps[:3, 2])) / SPACING)
    return float(comparison.slices[np.abs(comparison.places - z) <= reach].mean())


def _propagated(networks, cine, frame, source, options, expert) -> tuple[np.ndarray, IsotropicGrid]:
    found = networks.on_grid(cine, frame, source, options)
    if found.reversed != expert.turned:
        raise InputError("Base and apex were taken for each other.")
    return found.labels, found.grid


def _interpolated(segmented: LabelMap, frame: int, expert: Reference) -> np.ndarray:
    stack = check_labels(segmented.labels[frame], segmented.ijk_to_lps, apex_first=not expert.turned)
    return expert.grid.labels(stack, RV_WALL_MM)


def _on(grid: IsotropicGrid, true: LabelMap, frame: int, expert: Reference) -> np.ndarray:
    return grid.labels(check_labels(true.labels[frame], true.ijk_to_lps, apex_first=not expert.turned), RV_WALL_MM)


def _apex_first_frame(cine: Cine, frame: int, expert: Reference) -> np.ndarray:
    shown = shown_frames(cine)[0][frame]
    return shown[::-1] if expert.turned else shown


def _failed(expert: Reference, error: str) -> Comparison:
    nothing = compare(np.zeros_like(expert.labels), expert.labels, expert.base, expert.grid)
    return Comparison(0.0, (0.0,) * 4, nothing.places, np.zeros_like(nothing.slices), None, expert.grid, error)
