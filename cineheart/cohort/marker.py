"""The file in the folder of results that are whole: their row of the table, and what they were made from."""

import json
from pathlib import Path

from CardiacLib.files import write_json


def write_marker(path: Path, row: dict[str, object], made_from: dict[str, object], **more: object) -> None:
    """Say that the results in the folder of ``path`` are whole; ``more`` is what else the file is to tell."""
    write_json(path, {"made_from": made_from, "row": row, **more})


def read_marker(path: Path) -> tuple[dict[str, object], dict[str, object]] | None:
    """Row, and what it was made from, as JSON gives them back; None where there is no marker or a damaged one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found["row"], found["made_from"]
    except (OSError, json.JSONDecodeError, KeyError):
        return None


def same_inputs(stored: dict[str, object], made_from: dict[str, object]) -> bool:
    """Whether what a marker stores is what results would be made from now."""
    return stored == json.loads(json.dumps(made_from))
