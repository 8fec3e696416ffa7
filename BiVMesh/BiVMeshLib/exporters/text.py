"""Tables of numbers as text, fast: the digits of a whole column are computed at once.

A mesh of 200 000 tets with fibres has some three million numbers; formatting them one by one takes several times as
long, even with one ``%`` for many rows.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from CardiacLib.errors import InputError

NUMBER = re.compile(r"%d|%\.(\d+)f")
GROUP = 10_000
GROUP_DIGITS = 4
GROUPS = np.frombuffer("".join(f"{n:04d}" for n in range(GROUP)).encode("ascii"), np.uint8).reshape(GROUP, GROUP_DIGITS)
"""The four characters of 0 to 9999."""
LARGEST = 2.0**62
ROWS_AT_ONCE = 50_000


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """An ASCII file with Unix line ends on every system."""
    with open(path, "w", encoding="ascii", newline="\n") as stream:
        yield stream


def rows(template: str, *columns: np.ndarray) -> str:
    """One piece of text per row of the columns.

    Args:
        template: how a row looks: text with ``%d`` and ``%.9f`` (any number of decimals), one for each number.
        columns: (N,) or (N, C) arrays, side by side.

    Raises:
        InputError: a value is not a finite number, or is too large to be written with so many decimals.
    """
    literals, decimals = NUMBER.split(template)[0::2], NUMBER.split(template)[1::2]
    values = [column for block in columns for column in (block.T if block.ndim == 2 else block[None])]
    text = []
    for start in range(0, len(values[0]), ROWS_AT_ONCE):
        pieces = [_literal(literals[0])]
        for column, places, literal in zip(values, decimals, literals[1:], strict=True):
            pieces += [*_number(column[start : start + ROWS_AT_ONCE], int(places or 0)), _literal(literal)]
        count = max(len(piece) for piece in pieces)
        table = np.concatenate([np.broadcast_to(piece, (count, piece.shape[1])) for piece in pieces], axis=1)
        text.append(table[table != 0].tobytes().decode("ascii"))
    return "".join(text)


def _literal(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("ascii"), np.uint8)[None]


def _number(values: np.ndarray, decimals: int) -> list[np.ndarray]:
    """(N, width) characters: sign, digits before the point, the point, decimals; code 0 stands for no character."""
    if not np.abs(values).max() * 10.0**decimals < LARGEST:
        raise InputError("The mesh has coordinates or field values that are not finite numbers: it cannot be written.")
    scaled = np.rint(values * 10.0**decimals).astype(np.int64) if decimals else values.astype(np.int64)
    size = np.abs(scaled)
    length = max(len(str(size.max())), decimals + 1)
    groups = -(-length // GROUP_DIGITS)
    text = np.empty((len(size), groups, GROUP_DIGITS), np.uint8)
    rest = size
    for group in reversed(range(groups)):
        rest, last = np.divmod(rest, GROUP)
        text[:, group] = GROUPS[last]
    text = text.reshape(len(size), -1)[:, -length:]
    whole = length - decimals
    for place in range(whole - 1):
        text[size < 10 ** (length - 1 - place), place] = 0
    sign = np.where(scaled < 0, np.uint8(ord("-")), np.uint8(0))[:, None]
    return [sign, text[:, :whole], *([_literal("."), text[:, whole:]] if decimals else [])]
