"""Images of the views, drawn one after the other and each sent at once, the most looked at first.

Drawing takes processor time of the one loop that also answers the page. So only views that changed are drawn, never two
frames for one image, roughly at first and finely when nothing has changed for a moment.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trame_rca.encoders import RcaImageEncoder
from trame_rca.utils import RcaViewAdapter
from trame_slicer.rca_view.rca_view_factory import RcaWindow
from trame_slicer.views import AbstractView, ScheduledRenderStrategy

ROUGH, FINE = 60, 92
"""JPEG quality of an image while things change, and afterwards."""
FINE_AFTER_S = 0.4
TURNS = 8
"""Of the loop, in which an image leaves and what the page has asked for meanwhile arrives."""
MOST_SKIPPED = 2
"""Times in a row that the last view is left out because the next frame is asked for already."""
ENCODER = RcaImageEncoder.TURBO_JPEG
"""Pillow's where the library is not installed."""


@dataclass(frozen=True)
class Picture:
    """A view, and the way of its images to the page."""

    view: AbstractView
    window: RcaWindow
    adapter: RcaViewAdapter

    def send(self, quality: int) -> None:
        """Draw the view and send its image."""
        image, columns, rows = self.window.img_cols_rows
        content, meta, _ = ENCODER.encode(image, columns, rows, quality)
        self.adapter.push(content, meta)


class Painter:
    """Draws the pictures that changed.

    Args:
        pictures: in the order they are drawn.
    """

    def __init__(self, pictures: Sequence[Picture]):
        self._pictures = pictures
        self._changed: set[int] = set()
        self._rough: set[int] = set()
        self._next: Callable[[], object] | None = None
        self._skipped = 0
        self._asked, self._done = asyncio.Event(), asyncio.Event()
        for number, picture in enumerate(pictures):
            picture.view.set_scheduled_render(_Asking(self, number))

    def ask(self, number: int) -> None:
        """Draw a picture again."""
        self._changed.add(number)
        self._wake()

    def before_next(self, change: Callable[[], object]) -> None:
        """Change the scene before the next images; a change that was asked for before and not made yet is dropped."""
        self._next = change
        self._wake()

    async def done(self) -> None:
        """Wait until all is drawn, if only roughly."""
        await self._done.wait()

    async def run(self) -> None:
        """Draw until cancelled."""
        while True:
            if self._next is not None:
                change, self._next = self._next, None
                change()
            if self._changed:
                await self._draw_changed()
                continue
            self._done.set()
            if await self._asked_within(FINE_AFTER_S if self._rough else None):
                continue
            while self._rough and not self._asked.is_set():
                self._draw(min(self._rough), FINE)
                await _turns()

    async def _draw_changed(self) -> None:
        self._asked.clear()
        last = len(self._pictures) - 1
        for number in sorted(self._changed):
            if number == last and self._next is not None and self._skipped < MOST_SKIPPED:
                self._skipped += 1
                return
            self._skipped = 0 if number == last else self._skipped
            self._changed.discard(number)
            self._draw(number, ROUGH)
            await _turns()

    def _draw(self, number: int, quality: int) -> None:
        self._rough.discard(number)
        if quality != FINE:
            self._rough.add(number)
        try:
            self._pictures[number].send(quality)
        except Exception:
            logging.exception("A view could not be drawn.")

    def _wake(self) -> None:
        self._done.clear()
        self._asked.set()

    async def _asked_within(self, seconds: float | None) -> bool:
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._asked.wait(), seconds)
        found = self._asked.is_set()
        self._asked.clear()
        return found


class _Asking(ScheduledRenderStrategy):
    """What a view calls when it has changed."""

    def __init__(self, painter: Painter, number: int):
        super().__init__()
        self._painter, self._number = painter, number

    def schedule_render(self) -> None:
        self._painter.ask(self._number)


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
