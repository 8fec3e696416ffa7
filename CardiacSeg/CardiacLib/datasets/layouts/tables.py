"""CSV tables of data sets, as spreadsheets write them."""

import csv
from pathlib import Path

from CardiacLib.errors import InputError


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file with commas or semicolons, a byte order mark or none, by the names in its first line.

    Raises:
        InputError: it cannot be read, or has no rows.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); save it as CSV in UTF-8.") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    rows = [dict(row) for row in csv.DictReader(text.splitlines(), delimiter=separator)]
    if not rows:
        raise InputError(f"{path}: has no rows below its first line.")
    return rows
