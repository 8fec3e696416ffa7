"""What all trainers are told alike; a bundle's ``train.json`` states the values."""

from dataclasses import dataclass

import torch

from CardiacLib.datasets.splits import CaseChoice
from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent

from .adversarial import Adversarial
from .augment import Augmentation

ONE_CYCLE, POLY = SCHEDULES = ("one-cycle", "poly")


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
        augmentation: strength of the random changes.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        batches: in an epoch, where examples are drawn at random; None where an epoch shows each one once.
        fold: patients held out, as of ``CardiacLib.datasets.acdc.patient_folders``.
        start_from: weights file to begin with; None: random weights.
        cases: how labelled cases are read and split; None: as the data set states, ``fold`` held out.
        schedule: ``one-cycle``: AdamW with one cycle of its rate, and a moving average of the weights; ``poly``: SGD
            with Nesterov momentum 0.99, its rate falling as ``(1 - epoch / epochs) ** 0.9`` (nnU-Net), and no average.
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
    augmentation: Augmentation
    learning_rate: float
    weight_decay: float
    batches: int | None = None
    fold: int = 0
    start_from: str | None = None
    cases: CaseChoice | None = None
    schedule: str = ONE_CYCLE
    clip: float = 5.0
    adversarial: Adversarial | None = None
    progress: Progress = silent

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise InputError(f"There is no schedule '{self.schedule}'; choose {' or '.join(SCHEDULES)}.")

    @property
    def chosen_cases(self) -> CaseChoice:
        """How cases are read and split."""
        return self.cases or CaseChoice(fold=self.fold)
