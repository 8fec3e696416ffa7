"""What all trainers are told alike; a bundle's ``train.json`` states the values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from CardiacLib.datasets.splits import CaseChoice
from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent

from .adversarial import Adversarial
from .augment import Augmentation

ONE_CYCLE, CONSTANT, POLY = SCHEDULES = ("one-cycle", "constant", "poly")


@dataclass(frozen=True)
class TrainingOptions:
    """Where training data lie, how batches are drawn, and how the network is optimised.

    Attributes:
        dataset_dir: folder of the training data, in the form that the network's trainer reads.
        output_dir: for checkpoints and log.
        device: to train on.
        seed: of order and everything random in the batches.
        epochs: passes over the data.
        batch_size: examples in a batch.
        augmentation: strength of the random changes; or what makes them, where the trainer says so.
        learning_rate: peak of the one-cycle schedule, or the constant one.
        weight_decay: of AdamW, which without it is Adam.
        batches: in an epoch, where examples are drawn at random; None where an epoch shows each one once.
        fold: patients held out, as of ``CardiacLib.datasets.acdc.patient_folders``.
        start_from: weights file to begin with; None: random weights.
        cases: how labelled cases are read and split; None: as the data set states, ``fold`` held out.
        schedule: ``one-cycle``: AdamW, its rate rising and falling once over all epochs, and a moving average of the
            weights; ``constant``: the same at one rate; ``poly``: SGD with Nesterov momentum 0.99, its rate falling as
            ``(1 - epoch / epochs) ** 0.9`` (nnU-Net), and no average.
        patience: epochs without a smaller ``val_loss`` of the validation after which training ends; the network with
            the smallest one is kept. None: all epochs, and the last network.
        clip: greatest norm of a gradient.
        adversarial: train against a classifier of vendors too.
        progress: told what is prepared.
    """

    dataset_dir: str
    output_dir: str
    device: torch.device
    seed: int
    epochs: int
    batch_size: int
    augmentation: Augmentation | Callable[..., Any]
    learning_rate: float
    weight_decay: float
    batches: int | None = None
    fold: int = 0
    start_from: str | None = None
    cases: CaseChoice | None = None
    schedule: str = ONE_CYCLE
    patience: int | None = None
    clip: float = 5.0
    adversarial: Adversarial | None = None
    progress: Progress = silent

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise InputError(f"There is no schedule '{self.schedule}'; choose {', '.join(SCHEDULES)}.")

    @property
    def chosen_cases(self) -> CaseChoice:
        """How cases are read and split."""
        return self.cases or CaseChoice(fold=self.fold)
