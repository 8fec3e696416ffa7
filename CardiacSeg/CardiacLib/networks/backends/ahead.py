"""A network at work on the next batch while the answer to the one before is used."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Batch = TypeVar("Batch")
Answer = TypeVar("Answer")


def answers(run: Callable[[Batch], Answer], batches: Iterable[Batch]) -> Iterator[Answer]:
    """What ``run`` gives for each batch, in order; one batch ahead of the caller, in a thread of its own.

    The batches themselves are made in the caller's thread. What ``run`` raises is raised here, at its batch.

    Args:
        run: a network, or a function round one; called by one thread at a time.
        batches: what it is given.
    """
    with ThreadPoolExecutor(1, "network") as thread:
        running = None
        for batch in batches:
            following = thread.submit(run, batch)
            if running is not None:
                yield running.result()
            running = following
        if running is not None:
            yield running.result()
