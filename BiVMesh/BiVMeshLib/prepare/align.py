"""Slices moved back into line in their planes, where breath-holds of different depth displaced them.

The LV's centre runs along a smooth line through the slices. What is looked for are the smallest displacements, in the
sum of their lengths, after whose removal the line bends no more than hearts do: most slices stay as they are, and a
slice or a group of slices that sticks out is moved whole. A tilt or displacement of all slices alike cannot be seen.
"""

from dataclasses import replace

import numpy as np

from CardiacLib import geometry

from .labels_check import LabelStack

BEND_MM = 0.75
"""Standard deviation of the natural second difference of the LV's centre from slice to slice, along either axis."""
SHIFT_MM = 3.0
"""Scale of the displacements; a larger one lets slices move more easily."""
LEAST_MM = 0.5
"""Displacements below this are left alone."""
ROUNDS = 50
LEAST_SLICES = 4


def align_slices(stack: LabelStack) -> LabelStack:
    """The stack with ``shifts`` that bring displaced slices back into line, and a note on them.

    Translations only: turns of a slice within its plane are not looked for. Needs four slices with an LV.
    """
    held, found, axes = _shifts(stack)
    if len(held) < LEAST_SLICES:
        return replace(stack, notes=(*stack.notes, "Fewer than four slices: they were not aligned."))
    everywhere = np.arange(len(stack.lv))
    in_plane = np.stack([np.interp(everywhere, held, found[:, n]) for n in (0, 1)], axis=1)
    moved = np.linalg.norm(found, axis=1)
    note = (
        f"Slices were aligned in their planes: {int((moved > 0).sum())} of {len(held)} were moved, by up to "
        f"{moved.max():.1f} mm."
    )
    return replace(stack, shifts=stack.shifts + in_plane @ axes.T, notes=(*stack.notes, note))


def displaced_by(stack: LabelStack) -> float:
    """mm by which :func:`align_slices` would move the slice that is farthest out of line; 0 with fewer than four."""
    held, found, _ = _shifts(stack)
    return float(np.linalg.norm(found, axis=1).max()) if len(held) >= LEAST_SLICES else 0.0


def _shifts(stack: LabelStack) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slices with an LV (K,), what moves each back into line (K, 2) mm along the columns of the axes (3, 2)."""
    held = np.flatnonzero(stack.lv_epi[: stack.base + 1].any((1, 2)))
    axes = geometry.direction_of(stack.ijk_to_lps)[:, :2]
    if len(held) < LEAST_SLICES:
        return held, np.zeros((len(held), 2)), axes
    centres = np.array([stack.to_lps(*_centre(stack.lv_epi[k]), k) for k in held])
    found = -displacements(centres @ axes, held)
    found[np.linalg.norm(found, axis=1) < LEAST_MM] = 0.0
    return held, found, axes


def _centre(mask: np.ndarray) -> tuple[float, float]:
    """(i, j) centroid of a section."""
    j, i = np.nonzero(mask)
    return float(i.mean()), float(j.mean())


def displacements(centres: np.ndarray, slices: np.ndarray) -> np.ndarray:
    """(K, 2) displacements in mm of slices whose sections' centres are ``centres`` (K, 2), slice numbers (K,).

    Least |bend of the line|^2 / (2 BEND_MM^2) + sum of the displacements' lengths / SHIFT_MM, by iteratively reweighted
    least squares.
    """
    bend = np.zeros((len(slices) - 2, len(slices)))
    for row, (a, b, c) in enumerate(zip(slices, slices[1:], slices[2:], strict=False)):
        bend[row, row : row + 3] = np.array([1.0 / (b - a), -1.0 / (b - a) - 1.0 / (c - b), 1.0 / (c - b)])
    stiffness = bend.T @ bend / BEND_MM**2
    found = np.zeros_like(centres)
    weight = np.full(len(slices), 1.0 / SHIFT_MM)
    for _ in range(ROUNDS):
        found = np.linalg.solve(stiffness + np.diag(weight), stiffness @ centres)
        weight = 1.0 / (SHIFT_MM * np.maximum(np.linalg.norm(found, axis=1), 0.05))
    return found
