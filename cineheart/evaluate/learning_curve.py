"""The learning curve of a training run, drawn from its ``log.csv``."""

import ast
import csv
from pathlib import Path

from CardiacLib.errors import InputError

from .plots import COLOURS


def read_log(path: Path) -> dict[int, dict[str, object]]:
    """Epoch to its loss and ``validation`` numbers; an epoch that was run again after an interruption counts once.

    Raises:
        InputError: the file is no training log, or holds no epoch.
    """
    epochs = {}
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                validation = ast.literal_eval(row["validation"]) if row["validation"] else {}
                epochs[int(row["epoch"])] = {"loss": float(row["loss"]), "validation": validation}
    except (OSError, KeyError, TypeError, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: is no training log (epoch, loss, seconds, validation); train again.") from error
    if not epochs:
        raise InputError(f"{path}: holds no epoch; train for at least one.")
    return dict(sorted(epochs.items()))


def draw_learning_curve(log: Path, picture: Path) -> None:
    """Training loss per epoch and, where it was measured, Dice on held-out patients, as a PNG."""
    from matplotlib.figure import Figure

    epochs = read_log(log)
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    left = figure.add_subplot()
    left.plot(list(epochs), [row["loss"] for row in epochs.values()], color="grey", marker=".", label="training loss")
    left.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    left.xaxis.get_major_locator().set_params(integer=True)
    left.grid(alpha=0.2)
    names = sorted({name for row in epochs.values() for name in row["validation"]})
    if names:
        right = left.twinx()
        for number, name in enumerate(names):
            points = [(epoch, row["validation"][name]) for epoch, row in epochs.items() if name in row["validation"]]
            right.plot(
                *zip(*points, strict=True),
                color=COLOURS[number % len(COLOURS)],
                marker="o",
                markersize=4,
                label=f"{name}, held out",
            )
        right.set_ylabel("held-out Dice")
    figure.legend(loc="outside upper center", ncols=1 + len(names), frameon=False, fontsize=9)
    figure.savefig(picture, dpi=110)
