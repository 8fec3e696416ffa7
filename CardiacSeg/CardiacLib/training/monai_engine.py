"""Bundles that train with MONAI's own engine (``SupervisedTrainer``), behind the ``run`` of our :class:`Trainer`."""

from dataclasses import dataclass
from pathlib import Path

import torch

from CardiacLib.clock import Clock
from CardiacLib.progress import Progress, silent

from .engine import append_log


@dataclass
class MonaiTraining:
    """What ``python -m monai.bundle run training`` does, with progress, cancel and a ``log.csv``.

    Args:
        trainer: MONAI ``SupervisedTrainer`` with its handlers attached; it saves its checkpoints itself.
        validator: MONAI ``SupervisedEvaluator`` that one of those handlers runs.
        output: folder for the log.
    """

    trainer: object
    validator: object
    output: Path

    def run(self, progress: Progress = silent) -> torch.nn.Module:
        """Train to the last epoch and return the network."""
        from ignite.engine import Events

        self.output.mkdir(parents=True, exist_ok=True)
        state, losses, clock = self.trainer.state, [], Clock()

        def after_iteration(_):
            losses.append(float(state.output[0]["loss"]))
            fraction = state.iteration / (state.max_epochs * state.epoch_length)
            progress(fraction, f"epoch {state.epoch} of {state.max_epochs}, loss {losses[-1]:.4f}")

        def after_epoch(_):
            row = {"epoch": state.epoch, "loss": sum(losses) / len(losses), "seconds": clock.elapsed}
            append_log(self.output / "log.csv", row | self.validator.state.metrics)
            losses.clear()

        self.trainer.add_event_handler(Events.ITERATION_COMPLETED, after_iteration)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, after_epoch)
        self.trainer.run()
        return self.trainer.network.eval()
