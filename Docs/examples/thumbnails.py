"""Make the pictures of the samples in Slicer's Sample Data module: ``python Docs/examples/thumbnails.py [FOLDER]``.

Each shows the four views of a sample at end-diastole: short axis, 2CH, 3CH and 4CH.
"""

import sys
from pathlib import Path

import numpy as np

from CardiacLib.geometry import apply, index_of
from CardiacLib.mrml.application.sample_data import SAMPLES
from CardiacLib.phantom import make_phantom

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 260, 280
"""Pixels, as the module shows them."""
GAP = 4
REACH_MM = 130.0
"""Width of what is shown of each view, round the middle of the heart."""


def main(folder: Path) -> None:
    """Write one picture per sample, ``<sample>.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, options in SAMPLES.items():
        picture(make_phantom(options())).save(folder / f"{name}.png", optimize=True)


def picture(phantom):
    """PIL image of the four views of a phantom."""
    from PIL import Image

    labels = phantom.labels
    middle = apply(labels.ijk_to_lps, np.argwhere(labels.labels[phantom.ed] > 0)[:, ::-1].mean(0))
    whole = Image.new("L", (WIDTH, HEIGHT))
    width, height = (WIDTH - GAP) // 2, (HEIGHT - GAP) // 2
    for number, view in enumerate(("sax", "2ch", "3ch", "4ch")):
        pixels = around(phantom.cines[view], phantom.ed, middle, width, height)
        whole.paste(Image.fromarray(pixels), ((number % 2) * (width + GAP), (number // 2) * (height + GAP)))
    return whole


def around(cine, frame: int, middle: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 (height, width): the slice of a cine that is nearest to an LPS point, the point in its middle."""
    from scipy.ndimage import map_coordinates

    i, j, k = index_of(cine.ijk_to_lps, middle)
    pixels = cine.frames[frame, int(np.clip(np.rint(k), 0, cine.n_slices - 1))]
    step = REACH_MM / width
    rows = j + (np.arange(height) - height / 2) * step / cine.spacing[1]
    columns = i + (np.arange(width) - width / 2) * step / cine.spacing[0]
    low, high = np.percentile(pixels, [1, 99.5])
    shown = map_coordinates(pixels, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="constant", cval=low)
    return np.clip(255 * (shown - low) / (high - low), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Resources")
