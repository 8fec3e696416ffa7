"""Options of trainings that take seconds."""

import torch

from CardiacLib.training.augment import Augmentation
from CardiacLib.training.options import TrainingOptions

STILL = Augmentation(scale=0, shear=0, elastic=0, gamma=0, bias=0, noise=0, blur=0, contrast=0)


def training_options(**changes) -> TrainingOptions:
    """Of one epoch of batches of two on the processor, without random changes, but for what is given."""
    usual = {
        "dataset_dir": "",
        "output_dir": "",
        "device": torch.device("cpu"),
        "seed": 0,
        "epochs": 1,
        "batch_size": 2,
        "augmentation": STILL,
        "learning_rate": 2e-3,
        "weight_decay": 1e-4,
    }
    return TrainingOptions(**(usual | changes))
