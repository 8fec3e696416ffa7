"""What a command says: a progress bar and a table for people, one JSON object for machines."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, NamedTuple

import typer
from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from CardiacLib.progress import STAGE_END
from CardiacLib.types.measures.marks import Mark, plain_marks

LINE_SECONDS = 20.0
"""Between two lines of progress where there is no terminal."""
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text and progress.")]


@dataclass(frozen=True)
class Answer:
    """What a command has to say.

    Attributes:
        facts: name to a value for people and for JSON.
        notes: one sentence each.
        marks: of those facts that are measurements: weak ones are shown grey with their reason.
    """

    facts: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    marks: Mapping[str, Mark] = field(default_factory=dict)

    def with_facts(self, **facts: object) -> "Answer":
        """The same and more."""
        return replace(self, facts=self.facts | facts)

    def document(self) -> dict[str, object]:
        """The JSON object; frames count from 0 and are called so."""
        facts: dict[str, object] = {}
        for name, value in self.facts.items():
            facts |= {value.key(name): value.index} if isinstance(value, Counted) else {name: value}
        told = {name: mark for name, mark in self.marks.items() if facts.get(name) is not None}
        return facts | ({"marks": plain_marks(told)} if told else {}) | {"notes": list(self.notes)}


class Counted(NamedTuple):
    """A frame or slice: ``index`` counts from 0, for machines, its text from 1, for people."""

    index: int
    count: int | None = None
    what: str = "frame"

    def key(self, name: str) -> str:
        """Under which a document gives the index: ``ed`` becomes ``ed_frame_index``."""
        return f"{name}_index" if name.endswith(self.what) else f"{name}_{self.what}_index"

    def __str__(self) -> str:
        return f"{self.what} {self.index + 1}" + ("" if self.count is None else f" of {self.count}")


class Console:
    """Context of one command: ``progress`` is the callback for the library, ``finish`` prints the result.

    Args:
        title: of bar and table.
        as_json: print one JSON object only.
        lines: where there is no terminal, as in the log of a batch system, print what the bar would say as lines, the
            first and after that one in :data:`LINE_SECONDS`, and every one
            with :data:`~CardiacLib.progress.STAGE_END` at its end.
    """

    def __init__(self, title: str, as_json: bool, lines: bool = False):
        self._lines = lines
        self._last_line = float("-inf")
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
        if self._lines and not (self.as_json or self.rich.is_terminal):
            now = time.monotonic()
            if message.endswith(STAGE_END) or now - self._last_line >= LINE_SECONDS:
                self._last_line = now
                print(f"{100 * fraction:5.1f} %  {message}", file=sys.stderr, flush=True)

    def finish(self, answer: Answer) -> None:
        """Print the result."""
        self._bar.stop()
        if self.as_json:
            json.dump(answer.document(), sys.stdout, indent=2)
            print()
            return
        table = Table(title=self.title, show_header=False)
        for name, value in answer.facts.items():
            mark = answer.marks.get(name, Mark()) if value is not None else Mark()
            sure = "" if mark.uncertainty is None else f" \N{PLUS-MINUS SIGN} {mark.uncertainty:.1f}"
            why = f" ({mark.light}: {mark.reason})" if mark.weak else ""
            table.add_row(name, Text(f"{_text(value)}{sure}{why}"), style="bright_black" if mark.weak else None)
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
