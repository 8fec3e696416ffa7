"""In which order the browser app draws its views, and what it does not draw."""

import asyncio

import pytest

pytest.importorskip("trame_slicer")

from cineheart.web.painting import FINE, ROUGH, Painter


class FakeView:
    """A view that says when it is drawn, and asks to be drawn as one of trame-slicer does."""

    def __init__(self, name, drawn):
        self.view, self.name, self.drawn, self.while_drawn = self, name, drawn, None

    def set_scheduled_render(self, strategy):
        self.changed = strategy.schedule_render

    def send(self, quality):
        self.drawn.append((self.name, quality))
        if self.while_drawn is not None:
            self.while_drawn()


def painted(use) -> list:
    """What is drawn while ``use`` drives a painter of the views a, b and last."""
    drawn: list = []

    async def run():
        views = [FakeView(name, drawn) for name in ("a", "b", "last")]
        painter = Painter(views)
        painting = asyncio.create_task(painter.run())
        await use(painter, views)
        painting.cancel()

    asyncio.run(run())
    return drawn


def test_only_changed_views_are_drawn_in_order_and_finely_at_rest(monkeypatch):
    monkeypatch.setattr("cineheart.web.painting.FINE_AFTER_S", 0.01)

    async def use(painter, views):
        views[1].changed()
        views[0].changed()
        views[1].changed()
        await painter.done()
        await asyncio.sleep(0.2)

    assert painted(use) == [("a", ROUGH), ("b", ROUGH), ("a", FINE), ("b", FINE)]


def test_a_frame_that_is_not_shown_yet_is_dropped_for_the_next():
    shown = []

    async def use(painter, views):
        def show(frame):
            shown.append(frame)
            views[0].changed()

        for frame in (1, 2, 3):
            painter.before_next(lambda frame=frame: show(frame))
        await painter.done()

    assert painted(use) == [("a", ROUGH)] and shown == [3]


def test_the_last_view_waits_while_one_scrubs_but_not_for_ever():
    async def use(painter, views):
        frames = iter(range(5))

        def show():
            for view in views:
                view.changed()

        def scrub():
            if next(frames, None) is not None:
                painter.before_next(show)

        views[0].while_drawn = scrub
        show()
        await painter.done()

    drawn = [name for name, _ in painted(use)]
    assert drawn == ["a", "b", "a", "b", "a", "b", "last"] + ["a", "b", "a", "b", "a", "b", "last"]


def test_a_view_that_cannot_be_drawn_stops_nothing():
    async def use(painter, views):
        def fail():
            raise RuntimeError

        views[0].while_drawn = fail
        views[0].changed()
        views[1].changed()
        await painter.done()
        views[1].changed()
        await painter.done()

    assert [name for name, _ in painted(use)] == ["a", "b", "b"]
