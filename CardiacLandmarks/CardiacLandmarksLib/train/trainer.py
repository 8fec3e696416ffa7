"""Train the long-axis network: what ``cineheart train`` and ``python -m monai.bundle run training`` both call."""

from pathlib import Path

import torch

from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import read_weights
from CardiacLib.training.engine import Trainer, train
from CardiacLib.training.options import TrainingOptions

from .data import LandmarkBatches, LongAxisData
from .examples import VIEWS, Examples
from .four_chamber import read_cutouts, read_four_chamber
from .loss import landmark_loss
from .mixing import Mixer, some_widened
from .synthesis import synthetic_corpus

__all__ = ["landmark_sources", "long_axis_trainer", "train"]
REAL = ("checked", "unchecked")
"""Sources of real four-chamber frames: looked at by eye or not."""
MIXED = "mixed"
"""Source of images mixed of synthetic ones and of the real frames that are used at all."""
SEED = 7


def long_axis_trainer(network: torch.nn.Module, data: LongAxisData, options: TrainingOptions) -> Trainer:
    """Trainer of the landmark network on real four-chamber frames and synthetic images of all views.

    Args:
        network: ``LongAxisNet`` or one with the same input and output.
        data: what of which sources is shown.
        options: ``dataset_dir`` is the folder of the four-chamber frames; validation patients in it are never used.
    """
    if options.start_from:
        network.load_state_dict(read_weights(Path(options.start_from)))
    sources = landmark_sources(options.dataset_dir, data)
    return Trainer(
        network=network.to(options.device),
        batches=LandmarkBatches(sources, data, options),
        loss=landmark_loss,
        options=options,
    )


def landmark_sources(dataset_dir: str | Path, data: LongAxisData) -> dict[str, Examples]:
    """The examples of each source that ``data.shares`` names, in its order; synthetic images that are missing are made.

    Args:
        dataset_dir: folder of the four-chamber frames.
        data: what is wanted.

    Raises:
        InputError: a source is unknown, or its data are missing.
    """
    shares = data.shares
    known = (*VIEWS, *REAL, MIXED)
    unknown = set(shares) - set(known)
    if unknown or not shares:
        raise InputError(f"No training source '{', '.join(sorted(unknown))}'; choose of {', '.join(known)}.")
    found = {}
    if set(shares) & {*VIEWS, MIXED}:
        made = synthetic_corpus(data.synthetic_dir, data.hearts)
        found |= {view: made.examples.where(made.examples.view == n) for n, view in enumerate(VIEWS)}
        if "3ch" in shares:
            found["3ch"] = some_widened(made.where(made.examples.view == VIEWS.index("3ch")), SEED).examples
    if set(shares) & {*REAL, MIXED}:
        real = read_four_chamber(dataset_dir, validation=False)
        found |= {"checked": real.examples.where(real.read), "unchecked": real.examples.where(~real.read)}
    if MIXED in shares:
        used = real.where((real.read & ("checked" in shares)) | (~real.read & ("unchecked" in shares)))
        found[MIXED] = Mixer(made, read_cutouts(dataset_dir, used), SEED).draw(data.mixed)
    return {name: found[name] for name in shares}
