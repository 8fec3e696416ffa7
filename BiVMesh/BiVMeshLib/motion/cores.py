"""Frames side by side on two cores."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
TOGETHER = 2
"""Frames that are worked on at the same time; each takes some 200 MB at 200 000 tetrahedra."""


def side_by_side(tasks: list[Iterator[T]]) -> Iterator[T]:
    """What the tasks yield, as it comes, each task run on by a thread between its yields.

    An error of a task, or one thrown in by who asks, ends all of them after what they are at.
    """
    end = object()
    with ThreadPoolExecutor(len(tasks)) as pool:
        running = {pool.submit(next, task, end): task for task in tasks}
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, value = running.pop(future), future.result()
                if value is not end:
                    running[pool.submit(next, task, end)] = task
                    yield value
