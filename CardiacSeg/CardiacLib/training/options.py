"""What all trainers are told alike; a bundle's ``train.json`` states the values."""

from dataclasses import dataclass

import torch

from .augment import Augmentation


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
