"""MONAI bundles: where they and their weights are, what their configuration says, and their network."""

import json
import os
import pickle
import zipfile
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.resources import resource_path

CACHE_VARIABLE = "CINEHEART_BUNDLES"
"""Environment variable that moves the cache of fetched and imported weights."""
WRAPPERS = ("model", "net", "state_dict")
"""Keys under which training programs put the state dictionary."""


def bundle_names() -> list[str]:
    """Names of the bundles that CineHeart knows, with or without weights, alphabetical."""
    root = resource_path("Bundles")
    return sorted(p.name for p in root.iterdir() if (p / "configs" / "metadata.json").is_file())


def bundle_path(name: str) -> Path:
    """Folder of a known bundle by name, or of any bundle by its path.

    Raises:
        InputError: there is no such bundle.
    """
    for candidate in (Path(name), resource_path("Bundles") / name):
        if (candidate / "configs" / "metadata.json").is_file():
            return candidate.resolve()
    raise InputError(f"No bundle '{name}': give the folder of a MONAI bundle or one of {', '.join(bundle_names())}.")


def bundle_metadata(folder: Path) -> dict:
    """The JSON document ``configs/metadata.json`` of a bundle."""
    return json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))


def cache_folder(folder: str | Path | None = None) -> Path:
    """Where fetched and imported weights lie: the argument, else CINEHEART_BUNDLES, else the user's cache folder."""
    chosen = folder or os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    try:
        from platformdirs import user_cache_dir
    except ImportError:  # a panel opens in Slicer before packages are installed; pip, which installs them, has a copy
        from pip._vendor.platformdirs import user_cache_dir
    return Path(user_cache_dir("cineheart", appauthor=False, opinion=False)) / "bundles"


def weights_path(bundle: Path, cache: str | Path | None = None) -> Path:
    """File of a bundle's weights, whether it exists or not: in the bundle, else in the cache if the bundle is known."""
    own = bundle / "models" / "model.pt"
    if own.is_file() or bundle.parent != resource_path("Bundles"):
        return own
    return cache_folder(cache) / bundle.name / "models" / "model.pt"


def has_weights(bundle: str) -> bool:
    """Whether a bundle, by its name or folder, is there with its weights."""
    known = bundle in bundle_names() or Path(bundle).is_dir()
    return known and weights_path(bundle_path(bundle)).is_file()


def read_config(bundle: Path, name: str, **overrides):
    """MONAI ConfigParser over ``configs/<name>.json`` and ``metadata.json``, with top-level values replaced."""
    from monai.bundle import ConfigParser

    config = bundle / "configs" / f"{name}.json"
    if not config.is_file():
        raise InputError(f"{bundle}: the bundle has no configs/{name}.json.")
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.read_meta(str(bundle / "configs" / "metadata.json"))
    for key, value in ({"bundle_root": str(bundle)} | overrides).items():
        parser[key] = value
    parser.parse()
    return parser


def load_network(bundle: Path, parser, device):
    """The bundle's network in evaluation mode with its weights loaded strictly, float32, without gradients.

    Raises:
        InputError: weights are missing or do not fit the network.
    """
    weights = require_weights(bundle)
    network = parser.get_parsed_content("network_def", instantiate=True)
    load_weights(network, weights)
    return network.to(device).eval().requires_grad_(False)


def require_weights(bundle: Path) -> Path:
    """File of a bundle's weights; InputError, with what to do, where there is none."""
    weights = weights_path(bundle)
    if not weights.is_file():
        raise InputError(f"{weights}: {_remedy(bundle)}")
    return weights


def _remedy(bundle: Path) -> str:
    from .manifest import manifest

    name = bundle.name
    if bundle != resource_path("Bundles") / name:
        return f"the network has no weights; train it with 'cineheart train {bundle}'."
    ways = [f"'cineheart bundles import {name} FILE'", f"'cineheart train {name}'"]
    if name in manifest():
        ways.insert(0, f"'cineheart bundles fetch {name}'")
    return f"the weights of '{name}' are not here; get them with {' or '.join(ways)}."


def load_weights(network, path: Path) -> None:
    """Load a weights file of any form of :func:`read_weights` into a torch module, strictly.

    Raises:
        InputError: the file cannot be read, or its names or shapes are not those of the network.
    """
    found, wanted = read_weights(path), network.state_dict()
    wrong = [key for key in wanted if key not in found or found[key].shape != wanted[key].shape]
    wrong += [key for key in found if key not in wanted]
    if wrong:
        raise InputError(
            f"{path}: the weights do not belong to this bundle's network; missing, unknown or of another shape are "
            f"{len(wrong)} tensors, such as '{wrong[0]}'."
        )
    network.load_state_dict(found, strict=True)


def read_weights(path: str | Path) -> dict:
    """The state dictionary of a weights file, float32 on the CPU.

    Args:
        path: what ``torch.save`` wrote of a state dictionary, bare or under ``model``, ``net`` or ``state_dict``, with
            or without the prefix ``module.`` of a parallel run, fp16 or fp32; or a TorchScript archive.

    Raises:
        InputError: the file is missing, cannot be read, or holds something else.
    """
    loaded = _load(Path(path))
    for key in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    state = _tensors(loaded)
    if not state:
        raise InputError(f"{path}: holds no network weights; give a state dictionary or a TorchScript network.")
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _load(path: Path):
    import torch

    if not path.is_file():
        raise InputError(f"{path}: there is no such weights file.")
    try:
        if is_torchscript(path):
            return dict(torch.jit.load(path, map_location="cpu").state_dict())
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: cannot be read as network weights; it is damaged or holds more than tensors, "
            "so save the state dictionary alone with torch.save."
        ) from error


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, whatever its name."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _tensors(loaded) -> dict | None:
    """The state dictionary in float32 (counters keep their type); None if it is none."""
    import torch

    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        return None
    return {key: value.float() if value.is_floating_point() else value for key, value in loaded.items()}
