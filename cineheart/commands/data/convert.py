"""``cineheart data convert``: cases of any data set in another layout."""

from dataclasses import dataclass
from pathlib import Path

from CardiacLib.datasets.convert import ARCHIVE, to_npz, to_pairs
from CardiacLib.datasets.find import find_cases
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory
from CardiacLib.progress import Progress, silent
from cineheart.console import Answer


@dataclass(frozen=True)
class ConvertOptions:
    """What to write.

    Attributes:
        form: ``npz`` or ``pairs``.
        size: side of the slices of an NPZ; None: the largest that occurs.
        view: only these cases; None: all.
        order: of the label values.
    """

    form: str
    size: int | None = None
    view: str | None = None
    order: str = "auto"


def convert_data(source: Path, output: Path, options: ConvertOptions, *, progress: Progress = silent) -> Answer:
    """Write the cases of ``source`` into the folder ``output``."""
    found = find_cases(source, options.order)
    cases = [case for case in found.cases if options.view in (None, case.view)]
    if not cases:
        raise InputError(f"{source}: has no cases of the view {options.view}.")
    with atomic_directory(output) as folder:
        if options.form == "npz":
            count = to_npz(cases, folder / ARCHIVE, options.size, progress)
            facts: dict[str, object] = {"slices": count, "output": str(output / ARCHIVE)}
        else:
            facts = {"pairs": to_pairs(cases, folder, progress), "output": str(output)}
    left_out = tuple(f"{problem.case}: {problem.reason}" for problem in found.problems)
    return Answer({"layout": found.layout, "cases": len(cases)} | facts, (*found.notes, *left_out))
