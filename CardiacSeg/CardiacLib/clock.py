"""Wall time of the steps of a job."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Wall time since it was made, and by the name of a step.

    Attributes:
        seconds: of each named step, in the order in which they first ended; of a step that ran several times, the sum.
            A step that raised does not count.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._start

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the block under this name."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
