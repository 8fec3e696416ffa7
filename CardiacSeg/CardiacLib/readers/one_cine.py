"""Whether single-frame files that are named alike are the frames of one cine."""

import re
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError

OTHER_HEARTS = re.compile(
    r"(patient|pat|pt|subject|subj|sub|case|study|volunteer|animal|mouse|rat|id|scan|exam|session|ses|visit|"
    r"rep|repetition|repeat|run|average|avg|acq|acquisition|channel|chan|ch|class|label|prob)$"
)
"""What stands before a number that counts patients, repetitions or channels."""
LEAST_ALIKE = 0.7
"""Least correlation of a frame with the most similar other one. ED and ES of 40 ACDC patients: at least 0.88; images of
different patients on one grid: at most 0.3."""


def require_one_cine(paths: list[Path], images: list[np.ndarray]) -> None:
    """Raise InputError unless the files can be frames of one cine.

    They cannot where the numbers in their names count patients, repetitions or channels, where two numbers change, or
    where an image looks like none of the others, as frames of one heart do.

    Args:
        paths: named alike except for numbers, in the order of these.
        images: (K, J, I) of each.
    """
    numbers = [re.findall(r"\d+", path.name) for path in paths]
    places = [n for n in range(len(numbers[0])) if len({row[n] for row in numbers}) > 1]
    named = (
        f"{paths[0].parent}: holds {len(paths)} single-frame images of one grid ({paths[0].name} to {paths[-1].name})"
    )
    words = re.split(r"\d+", paths[0].name.lower())
    counted = [OTHER_HEARTS.search(words[n].rstrip(" _-.=")) for n in places]
    if any(counted):
        what = next(found.group(1) for found in counted if found)
        raise InputError(
            f"{named} that differ in the number of '{what}': no frames of one cine; give the images of one."
        )
    if len(places) > 1:
        raise InputError(
            f"{named} in whose names {len(places)} numbers change: no frames of one cine; give those of one."
        )
    if (worst := _least_alike(images)) < LEAST_ALIKE:
        raise InputError(
            f"{named} that look unlike each other (correlation {worst:.2f}), as of several patients or several kinds "
            "of image: no frames of one cine; give the images of one."
        )


def _least_alike(images: list[np.ndarray]) -> float:
    """Least over the images of the correlation with the most similar other one."""
    flat = np.array([image.ravel() for image in images], np.float64)
    flat -= flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1)
    if not length.all():
        return 1.0
    alike = (flat @ flat.T) / np.outer(length, length)
    np.fill_diagonal(alike, -np.inf)
    return float(alike.max(1).min())
