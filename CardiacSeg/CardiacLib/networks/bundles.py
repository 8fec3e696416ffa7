"""MONAI bundles: where they and their weights are, what their configuration says, and their network."""

import json
import os
import zipfile
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.resources import resource_path
from CardiacLib.species import Species, species_named

from .trust import is_copy_of_shipped, is_shipped, require_harmless

CACHE_VARIABLE = "CINEHEART_BUNDLES"
"""Environment variable that moves the cache of fetched and imported weights."""
WRAPPERS = ("model", "net", "state_dict")
"""Keys under which training programs put the state dictionary."""
TORCHSCRIPT = ".ts"
"""The only name under which a TorchScript archive is read, and only when it is trusted."""


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
    """The JSON document ``configs/metadata.json`` of a bundle.

    Raises:
        InputError: there is none, or it is broken.
    """
    return bundle_document(folder, "metadata")


def bundle_document(folder: Path, name: str) -> dict:
    """The JSON document ``configs/<name>.json`` of a bundle as it stands there; nothing of it is evaluated.

    Raises:
        InputError: there is none, or it is broken.
    """
    path = folder / "configs" / f"{name}.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{folder}: the bundle has no configs/{name}.json.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON document ({error}); write the bundle again.") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds no JSON object; write the bundle again.")
    return document


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


def species_of_bundle(bundle: Path) -> Species:
    """Whose hearts a bundle's network labels; people's where its metadata name no species."""
    return species_named(str(bundle_metadata(bundle).get("species", "human")))


def bundle_of_species(species: str) -> str:
    """The network of a species' short axis: the first that has weights."""
    bundles = species_named(species).bundles
    return next((bundle for bundle in bundles if has_weights(bundle)), bundles[-1])


def read_config(bundle: Path, name: str, trust: bool = False, **overrides):
    """MONAI ConfigParser over ``configs/<name>.json`` and ``metadata.json``, with top-level values replaced.

    Args:
        bundle: folder.
        name: of the configuration.
        trust: let a configuration of a foreign folder run code, as of :mod:`CardiacLib.networks.trust`.
        overrides: top-level values.

    Raises:
        InputError: a document is missing or broken, or could run code and is not trusted.
    """
    try:
        from monai.bundle import ConfigParser
    except ImportError as error:
        raise InputError(
            "MONAI is not installed, and PyTorch's networks are made by it; get it with: pip install 'cineheart[gpu]'"
        ) from error
    for document in (name, "metadata"):
        bundle_document(bundle, document)
    config = bundle / "configs" / f"{name}.json"
    parser = ConfigParser()
    try:
        parser.read_config(str(config))
        parser.read_meta(str(bundle / "configs" / "metadata.json"))
        parser.resolve_macro_and_relative_ids()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{config}: cannot be read as a MONAI configuration ({error}).") from error
    if not (trust or is_shipped(bundle)):
        known = is_copy_of_shipped(config)
        require_harmless(bundle, parser.get("_meta_") if known else parser.get(), parser.locator)
    for key, value in ({"bundle_root": str(bundle)} | overrides).items():
        parser[key] = value
    parser.parse()
    return parser


def config_value(bundle: Path, parser, name: str):
    """What stands under ``name`` in a configuration, evaluated.

    Raises:
        InputError: nothing does, or it cannot be made, as where a class is missing.
    """
    try:
        return parser.get_parsed_content(name, instantiate=True)
    except InputError:
        raise
    except Exception as error:  # whatever a bundle's own classes raise, and MONAI makes of it
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{bundle}: '{name}' of its configuration cannot be made ({reason[0]}); it does not fit this program."
        ) from error


def load_network(bundle: Path, parser, device):
    """The bundle's network in evaluation mode with its weights loaded strictly, float32, without gradients.

    Raises:
        InputError: weights are missing or do not fit the network.
    """
    weights = require_weights(bundle)
    network = network_of(bundle, parser)
    load_weights(network, weights)
    return network.to(device).eval().requires_grad_(False)


def network_of(bundle: Path, parser):
    """The bundle's network with the weights that its making gave it.

    Raises:
        InputError: the configuration makes no network.
    """
    import torch

    network = config_value(bundle, parser, "network_def")
    if not isinstance(network, torch.nn.Module):
        raise InputError(f"{bundle}: 'network_def' of its configuration is no network.")
    return network


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


def load_weights(network, path: Path, trust: bool = False) -> None:
    """Load a weights file of any form of :func:`read_weights` into a torch module, strictly.

    Raises:
        InputError: the file cannot be read, its names, shapes or kinds of number are not those of the network, or it
            holds what is no number.
    """
    put_weights(network, read_weights(path, trust), path)


def put_weights(network, found: dict, path: Path) -> None:
    """Load a state dictionary, read from ``path``, into a torch module, strictly.

    Raises:
        InputError: its names, shapes or kinds of number are not those of the network.
    """
    wanted = network.state_dict()
    wrong = [key for key in wanted if key not in found or found[key].shape != wanted[key].shape]
    wrong += [key for key in found if key not in wanted]
    if wrong:
        raise InputError(
            f"{path}: the weights do not belong to this bundle's network; missing, unknown or of another shape are "
            f"{len(wrong)} tensors, such as '{wrong[0]}'."
        )
    other = [key for key in wanted if found[key].is_floating_point() != wanted[key].is_floating_point()]
    if other:
        kind = str(found[other[0]].dtype).removeprefix("torch.")
        raise InputError(f"{path}: '{other[0]}' holds {kind} numbers, the network has others; give its float weights.")
    network.load_state_dict(found, strict=True)


def read_weights(path: str | Path, trust: bool = False) -> dict:
    """The state dictionary of a weights file, float32 on the CPU.

    Args:
        path: what ``torch.save`` wrote of a state dictionary, bare or under ``model``, ``net`` or ``state_dict``, with
            or without the prefix ``module.`` of a parallel run, fp16 or fp32; or a TorchScript archive named ``.ts``.
        trust: read TorchScript, which is a program that may do anything while it is read.

    Raises:
        InputError: the file is missing, cannot be read, or holds something else; tensors that are complex, sparse or
            quantised, or not finite; or it is a program that is not trusted.
    """
    path = Path(path)
    loaded = _load(path, trust)
    for key in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    state = _tensors(loaded, path)
    if not state:
        raise InputError(f"{path}: holds no network weights; give a state dictionary or a TorchScript network.")
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _load(path: Path, trust: bool):
    import torch

    if not path.is_file():
        raise InputError(f"{path}: there is no such weights file.")
    program = holds_code(path)
    if program and path.suffix.lower() != TORCHSCRIPT:
        raise InputError(
            f"{path}: is a program (TorchScript or another archive with code), and nothing of a weights file is run; "
            f"save its state dictionary with torch.save, or, if you trust who made it, name it {TORCHSCRIPT}."
        )
    if program and not trust:
        raise InputError(
            f"{path}: TorchScript is a program that could do anything while it is read; "
            "use --trust (trust=True) if you trust who made it."
        )
    try:
        if program:
            return dict(torch.jit.load(path, map_location="cpu").state_dict())
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files end in whatever the readers of torch, pickle and zip stumble over
        raise InputError(
            f"{path}: cannot be read as network weights; it is damaged or holds more than tensors, "
            "so save the state dictionary alone with torch.save."
        ) from error


def holds_code(path: Path) -> bool:
    """Whether a file is TorchScript or another archive with code, whatever its name."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = [Path(name) for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError):  # torch then says what it is
        return False
    return any(name.name == "constants.pkl" or name.suffix == ".py" or "code" in name.parts for name in names)


def _tensors(loaded, path: Path) -> dict | None:
    """The state dictionary in float32 (counters keep their type); None if it is none."""
    import torch

    if not isinstance(loaded, dict):
        return None
    if not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in loaded.items()):
        return None
    state = {}
    for key, value in loaded.items():
        if kind := _unusual(value):
            raise InputError(f"{path}: '{key}' is {kind}; give weights of plain floating-point numbers.")
        state[key] = value.float() if value.is_floating_point() else value
        if not torch.isfinite(state[key]).all():
            raise InputError(f"{path}: '{key}' holds values that are no finite numbers; the training has failed.")
    return state


def _unusual(value) -> str:
    """What makes a tensor none of plain numbers; empty for a plain one."""
    import torch

    kinds = {
        "quantised": value.is_quantized,
        "sparse": value.layout != torch.strided,
        "a nested tensor": value.is_nested,
        "complex": value.is_complex(),
        "without values": value.is_meta,
    }
    return next((kind for kind, is_so in kinds.items() if is_so), "")
