"""Pictures of animals: moving overlays of all slices, and Bland-Altman plots."""

from pathlib import Path

import numpy as np

from CardiacLib.metrics import agreement
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, LabelMap, structures
from CardiacSegLib.mouse.evaluation import UNITS, AnimalScore
from cineheart.evaluate.plots import group_colours

OVERLAY = "overlay.gif"
"""What ``cineheart segment`` writes of an animal."""
MARGIN = 16
"""Pixels round the heart that a picture shows."""
ENLARGED = 2
COLUMNS = 4
EXPERT = (255, 255, 255)
LEAST_FRAME_MS = 40
SLOWER = 8
"""A mouse's beat is shown this much slower."""


def write_overlay(path: Path, cine: Cine, labels: LabelMap, expert: LabelMap | None = None) -> None:
    """A GIF of all slices side by side over the cycle: outlines of pool and myocardium, the expert's in white.

    Args:
        path: file to write.
        cine: images of the same frames as the labels.
        labels: that are drawn in the structures' colours.
        expert: drawn below them in white.
    """
    from PIL import Image

    rows, columns = _box(labels, expert)
    pictures = []
    for t in range(cine.n_frames):
        tiles = [_tile(cine.frames[t, k], rows, columns) for k in range(cine.n_slices)]
        for k, tile in enumerate(tiles):
            for map_of, colour in ((expert, EXPERT), (labels, None)):
                if map_of is not None:
                    _outline(tile, map_of.labels[t, k][rows, columns], colour)
        pictures.append(Image.fromarray(_montage(tiles)))
    beat = 1000.0 if cine.times_ms is None else float(cine.times_ms[-1] - cine.times_ms[0])
    time_ms = max(round(SLOWER * beat / max(cine.n_frames - 1, 1)), LEAST_FRAME_MS)
    pictures[0].save(path, "GIF", save_all=True, append_images=pictures[1:], duration=time_ms, loop=0)


def _box(*maps: LabelMap | None) -> tuple[slice, slice]:
    """Rows and columns of all that is labelled, with a margin; everything where nothing is."""
    mask = np.any([m.labels.any((0, 1)) for m in maps if m is not None], axis=0)
    if not mask.any():
        return slice(None), slice(None)
    found = [np.flatnonzero(mask.any(axis)) for axis in (1, 0)]
    return tuple(slice(max(n[0] - MARGIN, 0), n[-1] + MARGIN + 1) for n in found)


def _tile(image: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    shown = image[rows, columns]
    low, high = np.percentile(shown, (1, 99))
    grey = np.clip((shown - low) / max(high - low, 1e-6), 0, 1)
    return np.repeat((255 * np.kron(grey, np.ones((ENLARGED, ENLARGED))))[..., None], 3, 2).astype(np.uint8)


def _outline(tile: np.ndarray, labels: np.ndarray, colour: tuple[int, int, int] | None) -> None:
    from scipy import ndimage

    large = np.kron(labels, np.ones((ENLARGED, ENLARGED), np.uint8))
    for label in (MYO, LV):
        mask = large == LV if label == LV else np.isin(large, (LV, MYO))
        tile[mask & ~ndimage.binary_erosion(mask)] = colour or structures()[label].rgb


def _montage(tiles: list[np.ndarray]) -> np.ndarray:
    height, width = tiles[0].shape[:2]
    lines = -(-len(tiles) // COLUMNS)
    whole = np.zeros((lines * height, min(COLUMNS, len(tiles)) * width, 3), np.uint8)
    for n, tile in enumerate(tiles):
        row, column = divmod(n, COLUMNS)
        whole[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return whole


def bland_altman(scores: list[AnimalScore], path: Path) -> None:
    """Found minus expert over their mean for every measure, animals coloured by group."""
    from matplotlib.figure import Figure

    colours = group_colours(score.group for score in scores)
    figure = Figure(figsize=(12.0, 6.0), layout="constrained")
    panels = figure.subplots(2, 4).ravel()
    for axes, (name, unit) in zip(panels, UNITS.items(), strict=False):
        axes.set_title(name, fontsize=10)
        there = [s for s in scores if name in s.found and np.isfinite([s.found[name], s.true[name]]).all()]
        if not there:
            continue
        found, true = (np.array([getattr(s, kind)[name] for s in there]) for kind in ("found", "true"))
        axes.scatter((found + true) / 2, found - true, s=18, c=[colours[s.group] for s in there], zorder=3)
        values = agreement(found, true)
        for value, style in ((values.bias, "-"), (values.lower, "--"), (values.upper, "--")):
            if value is not None:
                axes.axhline(value, color="black", linewidth=1.0, linestyle=style)
        axes.axhline(0, color="grey", linewidth=0.6)
        axes.set_xlabel(f"mean of both ({'%' if unit == 'points' else unit})", fontsize=8)
        axes.set_ylabel(f"found - expert ({unit})", fontsize=8)
    for axes in panels[len(UNITS) :]:
        axes.axis("off")
    for group, colour in colours.items():
        panels[-1].scatter([], [], c=colour, label=group)
    panels[-1].legend(loc="center")
    figure.savefig(path, dpi=100)
