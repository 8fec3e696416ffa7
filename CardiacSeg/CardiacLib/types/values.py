"""Values that cross from one process to another: types register themselves, arrays and texts go into one ``.npz``."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from CardiacLib.errors import InputError

Kind = TypeVar("Kind", bound=type)
_KINDS: dict[str, type] = {}


def job_value(kind: Kind) -> Kind:
    """Class decorator: values of this dataclass, and what holds them, can be written and read.

    Raises:
        TypeError: no dataclass, or another type of the same name is registered.
    """
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is no dataclass.")
    if _KINDS.setdefault(kind.__name__, kind).__module__ != kind.__module__:
        raise TypeError(f"{kind.__name__} of {_KINDS[kind.__name__].__module__} has the same name.")
    _KINDS[kind.__name__] = kind
    return kind


def write_value(path: str | Path, value: object) -> None:
    """Write one value as ``.npz``: its arrays, and one JSON text that says where each belongs.

    Raises:
        TypeError: the value, or something in it, is neither of a registered type nor plain.

    Example:
        >>> from CardiacLib.types.choices import NetworkChoice, RunsOn
        >>> write_value("choice.npz", NetworkChoice(runs_on=RunsOn("cpu")))
        >>> read_value("choice.npz").runs_on
        RunsOn(device='cpu', backend='auto')
    """
    arrays: dict[str, Any] = {}
    layout = json.dumps(_pack(value, arrays))
    unfinished = Path(path).with_suffix(".part.npz")
    np.savez(unfinished, layout=np.array(layout), **arrays)
    os.replace(unfinished, path)


def read_value(path: str | Path) -> object:
    """Read what :func:`write_value` wrote.

    Raises:
        InputError: the file is missing, broken, or holds no such value.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
        return _unpack(json.loads(str(content["layout"])), content)
    except (OSError, ValueError, KeyError, EOFError, TypeError) as error:
        raise InputError(f"{path}: not a value of a CineHeart job ({error}); write the job again.") from error


def _pack(value: object, arrays: dict[str, np.ndarray]) -> object:
    """JSON of a value; its arrays go to ``arrays`` under a number."""
    if isinstance(value, np.ndarray):
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if dataclasses.is_dataclass(value):
        kind = type(value).__name__
        if _KINDS.get(kind) is not type(value):
            raise TypeError(f"A job carries values of {', '.join(sorted(_KINDS))}, not {kind}.")
        fields = {field.name: _pack(getattr(value, field.name), arrays) for field in dataclasses.fields(value)}
        return {"kind": kind, "fields": fields}
    if isinstance(value, tuple):
        return {"tuple": [_pack(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_pack(item, arrays) for item in value]
    if isinstance(value, Mapping):
        return {"dict": [[_pack(key, arrays), _pack(item, arrays)] for key, item in value.items()]}
    if isinstance(value, np.generic):
        return value.item()
    return value


def _unpack(packed: object, arrays: dict[str, np.ndarray]) -> object:
    if isinstance(packed, list):
        return [_unpack(item, arrays) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if "array" in packed:
        return arrays[packed["array"]]
    if "tuple" in packed:
        return tuple(_unpack(item, arrays) for item in packed["tuple"])
    if "dict" in packed:
        return {_unpack(key, arrays): _unpack(item, arrays) for key, item in packed["dict"]}
    fields = {name: _unpack(item, arrays) for name, item in packed["fields"].items()}
    return _KINDS[packed["kind"]](**fields)
