"""Where the arrays of each layer lie in a file of Keras: five layouts, one answer.

- Keras 2, ``model.save("x.h5")``: ``model_weights/<layer>/<layer>/kernel:0``, beside it the state of the optimiser.
- Keras 2, ``model.save_weights("x.h5")``: ``<layer>/<layer>/kernel:0``.
- Keras 3, ``model.save("x.h5")``: as the first, the arrays without ``:0`` and the model's name among the folders.
- Keras 3, ``model.save_weights("x.weights.h5")``: ``layers/conv2d_7/vars/0``; an attribute gives the layer's name.
- Keras 3, ``model.save("x.keras")``: a zip of ``model.weights.h5``, as before, and ``config.json``, which orders the
  layers where attributes do not name them.

A model within a model puts its name among the folders of the first three; that is seen through.
"""

import io
import json
import re
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError

SUFFIXES = (".h5", ".hdf5", ".keras")
"""Of files of Keras."""
OPTIMISER = ("optimizer_weights", "optimizer", "_optimizer")
NUMBERED = {
    "kernel": {"0": "kernel", "1": "bias"},
    "gamma": {"0": "gamma", "1": "beta", "2": "moving_mean", "3": "moving_variance"},
}
"""Variables of Keras 3 by number: of convolutions, and of batch normalisation."""
VARIABLES = frozenset(name for names in NUMBERED.values() for name in names.values())
LARGEST_BYTES = 2 << 30

Layers = dict[str, dict[str, np.ndarray]]
"""Variable to array, by layer."""


def is_keras_file(path: str | Path) -> bool:
    """Whether a file has a suffix of Keras' files."""
    return Path(path).suffix.lower() in SUFFIXES


def read_layers(path: str | Path, wanted: Collection[str]) -> Layers:
    """The arrays of a Keras file, by layer and variable.

    Args:
        path: ``.h5``, ``.weights.h5`` or ``.keras``.
        wanted: names of the layers of the network that the weights are for.

    Returns:
        Also the layers that are not wanted, under their own names.

    Raises:
        InputError: the file cannot be read, holds no weights, or does not name its layers.
    """
    path = Path(path)
    h5py = _h5py(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such weights file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty; copy it again.")
    source, config = _unzipped(path) if zipfile.is_zipfile(path) else (path, None)
    try:
        with h5py.File(source, "r") as file:
            found = _numbered(path, h5py, file, config) if _is_numbered(file) else _named(path, h5py, file, set(wanted))
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:  # what h5py makes of damaged files
        raise InputError(f"{path}: is no readable file of Keras weights ({error}); copy or save it again.") from error
    if not found:
        raise InputError(f"{path}: holds no Keras weights; give what model.save or model.save_weights wrote.")
    return found


def _h5py(path: Path):
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: Keras files need the package h5py; get it with 'pip install h5py'.") from error
    return h5py


def _unzipped(path: Path) -> tuple[io.BytesIO, dict]:
    """The weights within a ``.keras`` archive, and its description of the model."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            if not {"model.weights.h5", "config.json"} <= set(sizes):
                raise InputError(
                    f"{path}: the zip is no Keras model (no model.weights.h5 and config.json in it); "
                    "give what model.save wrote."
                )
            if sizes["model.weights.h5"] > LARGEST_BYTES:
                raise InputError(f"{path}: its weights would be {sizes['model.weights.h5'] / 1e9:.0f} GB; no network.")
            config = json.loads(archive.read("config.json"))
            return io.BytesIO(archive.read("model.weights.h5")), config if isinstance(config, dict) else {}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: the zip cannot be unpacked ({error}); copy it again.") from error


def _arrays(h5py, group, below: str = "") -> Iterator[tuple[str, object]]:
    """Path and dataset of every array; links out of the file are not followed."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item, where = group[name], f"{below}/{name}".lstrip("/")
        if isinstance(item, h5py.Dataset):
            yield where, item
        elif not (below == "" and name in OPTIMISER):
            yield from _arrays(h5py, item, where)


def _named(path: Path, h5py, file, wanted: set[str]) -> Layers:
    found: Layers = {}
    for where, array in _arrays(h5py, file):
        *folders, last = where.split("/")
        variable = last.partition(":")[0]
        if variable not in VARIABLES or not folders:
            continue
        own = [name for name in folders if name in wanted]
        layer = own[-1] if own else folders[-1]
        _add(path, found, layer, variable, array)
    return found


def _is_numbered(file) -> bool:
    return "layers" in file or "_layer_checkpoint_dependencies" in file


def _numbered(path: Path, h5py, file, config: dict | None) -> Layers:
    """Layers of Keras 3's own format, named by attributes, or by the order in which the model lists them."""
    by_class = _names_of_classes(config) if config else {}
    found: Layers = {}
    for where, array in _arrays(h5py, file):
        *folders, group, last = where.split("/")
        if group != "vars" or not folders or not last.isdigit():
            continue
        holder = file["/".join((*folders, group))]
        name = next((_text(g.attrs["name"]) for g in (holder, holder.parent) if "name" in g.attrs), "")
        layer = name or by_class.get(folders[-1], "")
        if not layer:
            raise InputError(
                f"{path}: does not name its layers ({folders[-1]}); save the model as .keras, or its weights with "
                "a name ending in .h5 but not in .weights.h5."
            )
        kind = "kernel" if np.ndim(array) != 1 or ("0" in holder and holder["0"].ndim != 1) else "gamma"
        variable = NUMBERED[kind].get(last)
        if variable is None:
            raise InputError(f"{path}: layer '{layer}' has a variable {last}, which no layer of this network has.")
        _add(path, found, layer, variable, array)
    return found


def _names_of_classes(config: dict) -> dict[str, str]:
    """Folder of Keras 3 (``conv2d``, ``conv2d_1``, ...) to the name of the layer, as config.json lists them."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    layers = config.get("config", {}).get("layers", []) if isinstance(config.get("config"), dict) else []
    for layer in layers:
        kind = _snake_case(str(layer.get("class_name", "")))
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        stated = layer.get("config", {}).get("name") or layer.get("name", "")
        names[kind if number == 0 else f"{kind}_{number}"] = str(stated)
    return names


def _snake_case(name: str) -> str:
    """As Keras makes the names of folders: Conv2D to conv2d, BatchNormalization to batch_normalization."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _add(path: Path, found: Layers, layer: str, variable: str, array) -> None:
    variables = found.setdefault(layer, {})
    if variable in variables:
        raise InputError(f"{path}: has '{variable}' of layer '{layer}' twice; give a file of one model.")
    if array.dtype.kind != "f":
        raise InputError(f"{path}: '{variable}' of layer '{layer}' holds {array.dtype}; give weights of float numbers.")
    values = np.asarray(array, np.float32)
    if not np.isfinite(values).all():
        raise InputError(
            f"{path}: '{variable}' of layer '{layer}' holds what is no finite number; the training has failed."
        )
    variables[variable] = values
