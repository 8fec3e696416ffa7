"""Progress and cancel: a callable ``progress(fraction, message)`` that may raise :class:`Cancelled`."""

from collections.abc import Callable

Progress = Callable[[float, str], None]
STAGE_END = "."
"""Ends the message of a stage that is done, such as an epoch: one that a log keeps."""


def silent(fraction: float, message: str) -> None:
    """The progress callback of callers that do not listen."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """Map a step's own 0..1 onto ``start..stop`` of its parent."""

    def report(fraction: float, message: str) -> None:
        progress(start + (stop - start) * min(max(fraction, 0.0), 1.0), message)

    return report
