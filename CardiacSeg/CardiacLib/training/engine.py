"""The training loop of all CineHeart networks: one-cycle AdamW, moving average of the weights, resume, log."""

import csv
import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from CardiacLib.clock import Clock
from CardiacLib.networks.device import supports_bfloat16
from CardiacLib.progress import Progress, silent

from .options import TrainingOptions

EMA_EPOCHS = 1.5
"""Time constant, in epochs, of the moving average of the weights."""


@dataclass
class Trainer:
    """Train a network on batches that can be iterated once per epoch.

    Args:
        network: the module to train, already on the device of the batches.
        batches: sized iterable of (inputs, target); the state of its ``generator``,
            where it draws from one, is kept in checkpoints.
        loss: ``loss(outputs, target)`` giving a scalar; outputs are float32, a tensor or, of a network that answers at
            several scales, a list of them.
        options: of the optimisation; ``output_dir`` is for ``checkpoint.pt`` and ``log.csv``, and an existing
            checkpoint is continued.
        validate: called with the averaged network at every ``validate_every``-th epoch; its numbers go to the log only.
    """

    network: torch.nn.Module
    batches: object
    loss: Callable
    options: TrainingOptions
    validate: Callable[[torch.nn.Module], dict[str, float]] | None = None
    validate_every: int = 10

    def run(self, progress: Progress = silent) -> torch.nn.Module:
        """Train to the last epoch and return the network with averaged weights."""
        epochs = self.options.epochs
        self.output.mkdir(parents=True, exist_ok=True)
        optimiser, schedule, average = self._prepare()
        first = self._resume(optimiser, schedule, average)
        for epoch in range(first, epochs):
            clock = Clock()
            mean_loss = self._epoch(optimiser, schedule, average)
            row = {"epoch": epoch + 1, "loss": mean_loss, "seconds": clock.elapsed}
            if self.validate and ((epoch + 1) % self.validate_every == 0 or epoch + 1 == epochs):
                row |= self.validate(average.module.eval())
            append_log(self.output / "log.csv", row)
            self._save(epoch + 1, optimiser, schedule, average)
            progress((epoch + 1) / epochs, "  ".join(f"{k} {v:.4g}" for k, v in row.items()))
        return average.module.eval()

    def _prepare(self):
        steps, rate = self.options.epochs * len(self.batches), self.options.learning_rate
        optimiser = torch.optim.AdamW(
            self.network.parameters(), rate, weight_decay=self.options.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
        decay = math.exp(-1.0 / (EMA_EPOCHS * len(self.batches)))
        average_of = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
        # Statistics of batch normalisation are averaged as well: they belong to the averaged weights.
        average = torch.optim.swa_utils.AveragedModel(self.network, multi_avg_fn=average_of, use_buffers=True)
        return optimiser, schedule, average

    def _epoch(self, optimiser, schedule, average) -> float:
        self.network.train()
        device = next(self.network.parameters()).device
        total = torch.zeros((), device=device)
        for inputs, target in _ahead(self.batches):
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=supports_bfloat16(device)):
                outputs = self.network(inputs)
            several = isinstance(outputs, (list, tuple))
            loss = self.loss([o.float() for o in outputs] if several else outputs.float(), target)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(self.network)
            total += loss.detach()
        return float(total / len(self.batches))

    @property
    def output(self) -> Path:
        """Folder for checkpoint and log."""
        return Path(self.options.output_dir)

    @property
    def _checkpoint(self) -> Path:
        return self.output / "checkpoint.pt"

    @property
    def _generator(self) -> torch.Generator | None:
        return getattr(self.batches, "generator", None)

    def _save(self, epoch, optimiser, schedule, average) -> None:
        state = {
            "epoch": epoch,
            "network": self.network.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "batches": self._generator.get_state() if self._generator is not None else None,
            "random": torch.get_rng_state(),
        }
        work = self._checkpoint.with_suffix(".part")
        torch.save(state, work)
        os.replace(work, self._checkpoint)

    def _resume(self, optimiser, schedule, average) -> int:
        if not self._checkpoint.exists():
            return 0
        state = torch.load(self._checkpoint, map_location=next(self.network.parameters()).device, weights_only=True)
        self.network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        if state["batches"] is not None:
            self._generator.set_state(state["batches"].cpu())
        torch.set_rng_state(state["random"].cpu())  # noise and dropout within the network
        return state["epoch"]


def _ahead(batches: Iterable[tuple]) -> Iterator[tuple]:
    """The batches, each made by a second thread while the one before is learned from."""
    with ThreadPoolExecutor(1) as pool:
        rest = iter(batches)
        coming = pool.submit(next, rest, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, rest, None)
            yield batch


def train(trainer: Trainer, bundle_root: str | Path, progress: Progress = silent) -> Path:
    """Run the trainer and write the averaged weights, fp16, to ``models/model.pt`` of the bundle."""
    network = trainer.run(progress)
    target = Path(bundle_root) / "models" / "model.pt"
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.with_suffix(".part")
    state = {k: v.detach().cpu() for k, v in network.state_dict().items()}
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, work)
    os.replace(work, target)
    return target


def append_log(path: Path, row: dict) -> None:
    """Add an epoch to a ``log.csv``: its number, loss and seconds, and all else as its validation."""
    fields = ["epoch", "loss", "seconds", "validation"]
    new = not path.exists()
    extra = {k: v for k, v in row.items() if k not in fields}
    flat = {k: v for k, v in row.items() if k in fields} | {"validation": extra or ""}
    with open(path, "a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fields)
        if new:
            writer.writeheader()
        writer.writerow(flat)
