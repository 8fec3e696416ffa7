"""Train the long-axis network: what ``cineheart train`` and ``python -m monai.bundle run training`` both call."""

from pathlib import Path

import torch

from CardiacLandmarksLib.detect.decode import landmark_loss
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import read_weights
from CardiacLib.training.augment import Augmentation
from CardiacLib.training.engine import Trainer, train

from .data import LandmarkBatches
from .examples import VIEWS, Examples
from .four_chamber import read_cutouts, read_four_chamber
from .mixing import Mixer, some_widened
from .synthesis import synthetic_corpus

__all__ = ["landmark_sources", "long_axis_trainer", "train"]
REAL = ("checked", "unchecked")
"""Sources of real four-chamber frames: looked at by eye or not."""
MIXED = "mixed"
"""Source of images mixed of synthetic ones and of the real frames that are used at all."""
SEED = 7


def long_axis_trainer(
    network: torch.nn.Module,
    augmentation: Augmentation,
    dataset_dir: str,
    output_dir: str,
    device: torch.device,
    seed: int,
    epochs: int,
    batches: int,
    batch_size: int,
    pixel_mm: float,
    window: int,
    learning_rate: float,
    weight_decay: float,
    hearts: int,
    shares: dict[str, float],
    mixed: int,
    synthetic_dir: str,
    start_from: str | None = None,
) -> Trainer:
    """Trainer of the landmark network on real four-chamber frames and synthetic images of all views.

    Args:
        network: ``LongAxisNet`` or one with the same input and output.
        augmentation: strength of the random changes.
        dataset_dir: folder of the four-chamber frames; validation patients in it are never used.
        output_dir: checkpoints and log.
        device: to train on.
        seed: of order and augmentation.
        epochs, batches, batch_size, learning_rate, weight_decay: of the optimisation; ``batches`` per epoch.
        pixel_mm, window: side of a pixel and of the windows that the network sees.
        hearts: number of synthetic hearts.
        shares: part of the windows by source: synthetic images by view (``examples.VIEWS``), real frames ``checked``
            by eye, real frames ``unchecked``, ``mixed`` images of both kinds (:mod:`.mixing`). A source that is not
            named is not used.
        mixed: number of mixed images.
        synthetic_dir: where the synthetic images are kept; those that are missing are made first.
        start_from: weights file to begin with; None: random weights.
    """
    if start_from:
        network.load_state_dict(read_weights(Path(start_from)))
    sources = landmark_sources(dataset_dir, synthetic_dir, hearts, mixed, shares)
    made = LandmarkBatches(
        list(sources.values()), list(shares.values()), batch_size, batches, window, pixel_mm, augmentation, seed, device
    )
    return Trainer(
        network=network.to(device),
        batches=made,
        loss=landmark_loss,
        output=Path(output_dir),
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
    )


def landmark_sources(
    dataset_dir, synthetic_dir, hearts: int, mixed: int, shares: dict[str, float]
) -> dict[str, Examples]:
    """The examples of each source that ``shares`` names, in its order; parameters of :func:`long_axis_trainer`.

    Raises:
        InputError: a source is unknown, or its data are missing.
    """
    known = (*VIEWS, *REAL, MIXED)
    unknown = set(shares) - set(known)
    if unknown or not shares:
        raise InputError(f"No training source '{', '.join(sorted(unknown))}'; choose of {', '.join(known)}.")
    found = {}
    if set(shares) & {*VIEWS, MIXED}:
        made = synthetic_corpus(synthetic_dir, hearts)
        found |= {view: made.examples.where(made.examples.view == n) for n, view in enumerate(VIEWS)}
        if "3ch" in shares:
            found["3ch"] = some_widened(made.where(made.examples.view == VIEWS.index("3ch")), SEED).examples
    if set(shares) & {*REAL, MIXED}:
        real = read_four_chamber(dataset_dir, validation=False)
        found |= {"checked": real.examples.where(real.read), "unchecked": real.examples.where(~real.read)}
    if MIXED in shares:
        used = real.where((real.read & ("checked" in shares)) | (~real.read & ("unchecked" in shares)))
        found[MIXED] = Mixer(made, read_cutouts(dataset_dir, used), SEED).draw(mixed)
    return {name: found[name] for name in shares}
