"""What a command says: a progress bar and a table for people, one JSON object for machines."""

import json
import sys
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text and progress.")]


@dataclass(frozen=True)
class Answer:
    """What a command has to say.

    Attributes:
        facts: name to a value for people and for JSON.
        notes: one sentence each.
    """

    facts: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def with_facts(self, **facts: object) -> "Answer":
        """The same and more."""
        return Answer(self.facts | facts, self.notes)


class Console:
    """Context of one command: ``progress`` is the callback for the library, ``finish`` prints the result."""

    def __init__(self, title: str, as_json: bool):
        self.title, self.as_json = title, as_json
        self.rich = RichConsole(stderr=True, highlight=False)
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, console=self.rich, transient=True, disable=as_json or not self.rich.is_terminal)
        self._task = self._bar.add_task(title, total=1.0)

    def __enter__(self) -> "Console":
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def progress(self, fraction: float, message: str) -> None:
        """Callback of the library; never cancels (Ctrl+C does)."""
        self._bar.update(self._task, completed=fraction, description=message)

    def finish(self, answer: Answer) -> None:
        """Print the result."""
        self._bar.stop()
        if self.as_json:
            json.dump(answer.facts | {"notes": list(answer.notes)}, sys.stdout, indent=2)
            print()
            return
        table = Table(title=self.title, show_header=False)
        for name, value in answer.facts.items():
            table.add_row(name, _text(value))
        RichConsole(highlight=False).print(table)
        for note in answer.notes:
            self.rich.print(f"Note: {note}", markup=False)


def rounded(value: float | None) -> float | None:
    """One decimal, for people."""
    return None if value is None else round(value, 1)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{k}: {v}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(str(v) for v in value)
    return str(value)
