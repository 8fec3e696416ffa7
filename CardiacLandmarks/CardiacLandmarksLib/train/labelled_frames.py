"""Labelled four-chamber frames to train a segmentation on, as one archive that every training of CineHeart reads.

Synthetic hearts have exact labels of both pools and the LV myocardium, up to the valve planes. Half of their images
keep the phantom's surroundings, half get real ones. Of the real frames the LV pool alone is drawn.
"""

import os
from pathlib import Path

import numpy as np

from CardiacLib.geometry import apply
from CardiacLib.phantom.truth import label_stack, valve_points
from CardiacLib.phantom.views import lax_grid
from CardiacLib.progress import Progress, part, silent

from .examples import CANVAS, Cutouts
from .four_chamber import read_cutouts, read_four_chamber
from .mixing import Mixer
from .synthesis import imaged, moved, random_heart, random_scene

HELD_OUT_HEARTS = 10
"""Every how many synthetic hearts one is for validation."""
FACTS = ("subject", "view", "vendor", "group", "split", "structures")
"""What the archive says of every frame."""
FIRST_SEED = 50_000
"""Of the synthetic hearts; those of the landmark network have others."""


def labelled_heart(seed: int) -> tuple[Cutouts, np.ndarray]:
    """Four-chamber images of one random heart, and labels uint8 (T, CANVAS, CANVAS): 1 LV pool, 2 myocardium, 3 RV."""
    rng = np.random.default_rng(seed)
    options, motion = random_heart(rng)
    scene = random_scene(options, motion, rng)
    points = np.stack([apply(scene.to_lps, valve_points(options, shape)) for shape in scene.shapes])
    grid = moved(lax_grid(options, scene.to_lps, motion.shapes[0], "4ch"), points, "4ch", rng)
    images = imaged(scene, grid, "4ch", points, rng)
    labels = np.zeros((len(images), CANVAS, CANVAS), np.uint8)
    labels[:, : grid.shape[1], : grid.shape[2]] = label_stack(scene, grid, np.zeros((1, 3)))[:, 0]
    return images, labels


def write_labelled_frames(
    frames: str | Path, out: Path, hearts: int, progress: Progress = silent, seed: int = FIRST_SEED
) -> int:
    """Write the archive (``CardiacLib.datasets.layouts.npz``) and return its number of frames.

    Args:
        frames: folder with ``images/``, ``lv_masks/``, ``points.csv`` and ``tricuspid_points.csv``.
        out: ``.npz`` to write.
        hearts: number of synthetic hearts, three frames each.
        progress: called for each heart.
        seed: of the first heart; every further one has the next.

    Raises:
        InputError: the folder holds no such frames.
    """
    rows: dict[str, list] = {name: [] for name in ("images", "segs", "spacing_mm", *FACTS)}
    files = {validation: read_four_chamber(frames, validation) for validation in (False, True)}
    real = {validation: read_cutouts(frames, found) for validation, found in files.items()}
    for validation, cutouts in real.items():
        for n, file in enumerate(files[validation].files):
            label = (cutouts.cover[n] > 127).astype(np.uint8)
            subject = f"ch4_{file.split('_')[1]}"
            _add(rows, cutouts, n, label, {"subject": subject, "group": file, "vendor": "real", "structures": "lv"})
            rows["split"].append("validation" if validation else "training")
    drawn = part(progress, 0.1, 1.0)
    for number in range(hearts):
        images, labels = labelled_heart(seed + number)
        split = "validation" if number % HELD_OUT_HEARTS == 0 else "training"
        mixer = Mixer(images, real[split == "validation"], seed + number)
        for n, label in enumerate(labels):
            facts = {"subject": f"phantom_{number}", "vendor": "phantom", "structures": "lv myo rv"}
            _add(rows, images, n, label, facts | {"group": f"frame {n}"})
            mixed = mixer.in_real_surroundings(images.where(np.array([n])))
            _add(rows, images, n, label, facts | {"vendor": "mixed", "group": f"mixed {n}"}, mixed.images[0])
            rows["split"] += [split, split]
        drawn((number + 1) / hearts, f"{number + 1} of {hearts} synthetic hearts")
    work = out.with_suffix(".part.npz")
    np.savez_compressed(work, **{name: np.array(values) for name, values in rows.items()})
    os.replace(work, out)
    return len(rows["images"])


def _add(
    rows: dict[str, list],
    cutouts: Cutouts,
    n: int,
    label: np.ndarray,
    facts: dict[str, str],
    image: np.ndarray | None = None,
) -> None:
    pixel = float(cutouts.examples.pixel_mm[n])
    rows["images"].append(cutouts.examples.images[n] if image is None else image)
    rows["segs"].append(label)
    rows["spacing_mm"].append((pixel, pixel, 8.0))
    rows["view"].append("4ch")
    for name, value in facts.items():
        rows[name].append(value)
