"""The training loop of all CineHeart networks: AdamW, moving average of the weights, early end, resume, log."""

import csv
import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from CardiacLib.clock import Clock
from CardiacLib.datasets.splits import SplitCases
from CardiacLib.files import safe_name
from CardiacLib.networks.device import supports_bfloat16
from CardiacLib.progress import STAGE_END, Progress, silent

from .adversarial import AdversarialNetwork
from .options import ONE_CYCLE, POLY, TrainingOptions

EMA_EPOCHS = 1.5
"""Time constant, in epochs, of the moving average of the weights."""
MOMENTUM = 0.99
"""Of SGD with the poly schedule."""
RISE = 0.1
"""Part of the steps of the one-cycle schedule in which the rate rises."""
FIELDS = ("epoch", "loss", "seconds")
"""Of an epoch in the log; all else is its validation."""
REPORT_SECONDS = 2.0
"""Between two reports within an epoch."""


@dataclass(frozen=True)
class Best:
    """The epoch, from 1, of the smallest validation loss, and that loss."""

    epoch: int = 0
    loss: float = math.inf

    def ended(self, epoch: int, patience: int | None) -> bool:
        """Whether after ``epoch`` epochs nothing was gained for ``patience`` of them."""
        return patience is not None and epoch - self.epoch >= patience


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
        validate: called with the averaged network at every ``validate_every``-th epoch; its numbers go to the log, and
            ``val_loss`` decides where the options have a patience.
        scores: of what ``validate`` gave, what the network is judged by, higher is better: the weights of the best
            epoch of each name are kept, the empty name as ``best.pt``, others as ``best_<name>.pt``. None: nothing is.
        split: of the cases, where the data set is one of ``CardiacLib.datasets``.
        notes: what is to be told of the preparation, one sentence each.
        on_epoch: called when the log has a new epoch.
    """

    network: torch.nn.Module
    batches: object
    loss: Callable
    options: TrainingOptions
    validate: Callable[[torch.nn.Module], dict[str, float]] | None = None
    validate_every: int = 10
    scores: Callable[[dict[str, float]], dict[str, float]] | None = None
    split: SplitCases | None = None
    notes: tuple[str, ...] = ()
    on_epoch: Callable[[], None] | None = None
    _lowest: Best = field(default=Best(), init=False)

    def run(self, progress: Progress = silent) -> torch.nn.Module:
        """Train to the last epoch, or until nothing is gained, and return the network with averaged weights."""
        epochs = self.options.epochs
        self.output.mkdir(parents=True, exist_ok=True)
        optimiser, schedule, average = self._prepare()
        best: dict[str, float] = {}
        first = self._resume(optimiser, schedule, average, best)
        if first:
            progress(first / epochs, f"going on after epoch {first} of {epochs}.")
        with board(self.output) as write:
            for epoch in range(first, epochs):
                if self._lowest.ended(epoch, self.options.patience):
                    break
                clock = Clock()
                mean_loss = self._epoch(epoch, optimiser, schedule, average, progress)
                row = {"epoch": epoch + 1, "loss": mean_loss, "seconds": clock.elapsed}
                if self.validate and ((epoch + 1) % self.validate_every == 0 or epoch + 1 == epochs):
                    row |= self.validate(average.module.eval())
                    self._keep_best(row, average.module, best)
                    self._keep_lowest(epoch + 1, row, average)
                append_log(self.output / "log.csv", row)
                write(row)
                self._save(epoch + 1, optimiser, schedule, average, best)
                if self.on_epoch:
                    self.on_epoch()
                progress((epoch + 1) / epochs, "  ".join(f"{k} {v:.4g}" for k, v in row.items()) + STAGE_END)
        if self.options.patience is not None and self._lowest_file.exists():
            average.module.load_state_dict(torch.load(self._lowest_file, weights_only=True))
        return segmenter_of(average.module).eval()

    def _keep_lowest(self, epoch: int, row: dict[str, float], average) -> None:
        """Keep the network of the smallest ``val_loss``, where there is a patience."""
        if self.options.patience is None or row["val_loss"] >= self._lowest.loss:
            return
        self._lowest = Best(epoch, row["val_loss"])
        work = self._lowest_file.with_suffix(".part")
        torch.save(average.module.state_dict(), work)
        os.replace(work, self._lowest_file)

    def _prepare(self):
        steps, rate, decay = self.options.epochs * len(self.batches), self.options.learning_rate, 0.0
        parameters, weight_decay = self.network.parameters(), self.options.weight_decay
        if self.options.schedule == POLY:
            optimiser = torch.optim.SGD(parameters, rate, MOMENTUM, weight_decay=weight_decay, nesterov=True)
            each, epochs = len(self.batches), self.options.epochs
            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: (1 - step // each / epochs) ** 0.9)
        else:
            optimiser = torch.optim.AdamW(parameters, rate, weight_decay=weight_decay, fused=True)
            schedule = torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0)
            if self.options.schedule == ONE_CYCLE:
                # A rise of one step or less would divide by zero: a training that short begins at the peak.
                rise = RISE if RISE * steps > 1 else 0.0
                schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=rise)
            decay = math.exp(-1.0 / (EMA_EPOCHS * len(self.batches)))
        average_of = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
        # Statistics of batch normalisation are averaged as well: they belong to the averaged weights.
        average = torch.optim.swa_utils.AveragedModel(self.network, multi_avg_fn=average_of, use_buffers=True)
        return optimiser, schedule, average

    def _epoch(self, epoch: int, optimiser, schedule, average, progress: Progress) -> float:
        self.network.train()
        device = next(self.network.parameters()).device
        total = torch.zeros((), device=device)
        clock, due, count, epochs = Clock(), REPORT_SECONDS, len(self.batches), self.options.epochs
        for number, (inputs, target) in enumerate(_ahead(self.batches), 1):
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=supports_bfloat16(device)):
                outputs = self.network(inputs)
            several = isinstance(outputs, (list, tuple))
            loss = self.loss([o.float() for o in outputs] if several else outputs.float(), target)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip)
            optimiser.step()
            schedule.step()
            average.update_parameters(self.network)
            total += loss.detach()
            if clock.elapsed > due:
                due, each = clock.elapsed + REPORT_SECONDS, clock.elapsed / number * count
                text = f"epoch {epoch + 1} of {epochs}, batch {number} of {count}, about {_duration(each)} an epoch"
                text += f", {_duration(each * (epochs - epoch - number / count))} to go"
                progress((epoch + number / count) / epochs, text)
        return float(total / count)

    def _keep_best(self, row: dict[str, float], network: torch.nn.Module, best: dict[str, float]) -> None:
        """Write the weights of every score that is higher than all before."""
        for name, score in self.scores(_validation(row)).items() if self.scores else ():
            if score > best.get(name, -math.inf):
                best[name] = score
                write_weights(segmenter_of(network), self.output / f"best{f'_{safe_name(name)}' if name else ''}.pt")

    @property
    def output(self) -> Path:
        """Folder for checkpoint and log."""
        return Path(self.options.output_dir)

    @property
    def _checkpoint(self) -> Path:
        return self.output / "checkpoint.pt"

    @property
    def _lowest_file(self) -> Path:
        return self.output / "lowest_loss.pt"

    @property
    def _generator(self) -> torch.Generator | None:
        return getattr(self.batches, "generator", None)

    def _save(self, epoch, optimiser, schedule, average, best) -> None:
        state = {
            "epoch": epoch,
            "network": self.network.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "batches": self._generator.get_state() if self._generator is not None else None,
            "random": torch.get_rng_state(),
            "best": best,
            "lowest": (self._lowest.epoch, self._lowest.loss),
        }
        work = self._checkpoint.with_suffix(".part")
        torch.save(state, work)
        os.replace(work, self._checkpoint)

    def _resume(self, optimiser, schedule, average, best) -> int:
        if not self._checkpoint.exists():
            return 0
        state = torch.load(self._checkpoint, map_location=next(self.network.parameters()).device, weights_only=True)
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError:
            kept = self._checkpoint.with_suffix(".old.pt")
            os.replace(self._checkpoint, kept)
            log = self.output / "log.csv"
            if log.exists():
                os.replace(log, log.with_suffix(".old.csv"))
            text = f"{self._checkpoint.name} is of another network and was renamed {kept.name}: training begins anew."
            self.notes = (*self.notes, text)
            return 0
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        if state["batches"] is not None:
            self._generator.set_state(state["batches"].cpu())
        torch.set_rng_state(state["random"].cpu())  # noise and dropout within the network
        best.update(state.get("best", {}))
        self._lowest = Best(*state.get("lowest", ()))
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
    write_weights(network, target)
    return target


def write_weights(network: torch.nn.Module, path: Path) -> None:
    """Write a network's weights as fp16."""
    work = path.with_suffix(".part")
    state = {k: v.detach().cpu() for k, v in network.state_dict().items()}
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, work)
    os.replace(work, path)


def segmenter_of(network: torch.nn.Module) -> torch.nn.Module:
    """The network itself, without what it was trained against."""
    return network.segmenter if isinstance(network, AdversarialNetwork) else network


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _validation(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in FIELDS}


@contextmanager
def board(folder: Path) -> Iterator[Callable[[dict[str, float]], None]]:
    """A function that adds an epoch to TensorBoard's files in a folder, where TensorBoard is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield lambda row: None
        return
    with SummaryWriter(str(folder / "tensorboard")) as writer:

        def write(row: dict[str, float]) -> None:
            for name, value in row.items():
                if name != "epoch":
                    writer.add_scalar(name, value, int(row["epoch"]))
            writer.flush()

        yield write


def append_log(path: Path, row: dict) -> None:
    """Add an epoch to a ``log.csv``: its number, loss and seconds, and all else as its validation."""
    fields = [*FIELDS, "validation"]
    new = not path.exists()
    extra = {k: v for k, v in row.items() if k not in fields}
    flat = {k: v for k, v in row.items() if k in fields} | {"validation": extra or ""}
    with open(path, "a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fields)
        if new:
            writer.writeheader()
        writer.writerow(flat)
