"""Bundles that train with MONAI's own engine (``SupervisedTrainer``), behind the ``run`` of our :class:`Trainer`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from CardiacLib.clock import Clock
from CardiacLib.datasets.splits import SplitCases
from CardiacLib.progress import STAGE_END, Progress, silent

from .engine import append_log, board


@dataclass
class MonaiTraining:
    """What ``python -m monai.bundle run training`` does, with progress, cancel and a ``log.csv``.

    Args:
        trainer: MONAI ``SupervisedTrainer`` with its handlers attached; it saves its checkpoints itself.
        validator: MONAI ``SupervisedEvaluator`` that one of those handlers runs.
        output: folder for the log.
        on_epoch: called when the log has a new epoch.
        notes: what is to be told of the preparation.
        split: of the cases, where the data set is one of ``CardiacLib.datasets``.
    """

    trainer: object
    validator: object
    output: Path
    on_epoch: Callable[[], None] | None = None
    notes: tuple[str, ...] = ()
    split: SplitCases | None = None

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
            row |= self.validator.state.metrics
            append_log(self.output / "log.csv", row)
            write(row)
            losses.clear()
            if self.on_epoch:
                self.on_epoch()
            text = f"epoch {state.epoch} of {state.max_epochs}, loss {row['loss']:.4f}, {row['seconds']:.0f} s"
            progress(state.epoch / state.max_epochs, text + STAGE_END)

        self.trainer.add_event_handler(Events.ITERATION_COMPLETED, after_iteration)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, after_epoch)
        with board(self.output) as write:
            self.trainer.run()
        return self.trainer.network.eval()
