"""MONAI bundles: where they are, what their configuration says, and their network with its weights."""

from pathlib import Path

from .errors import InputError
from .resources import resource_path


def bundle_names() -> list[str]:
    """Names of the bundles that CineHeart ships, alphabetical."""
    root = resource_path("Bundles")
    return sorted(p.name for p in root.iterdir() if (p / "configs" / "metadata.json").is_file())


def bundle_path(name: str) -> Path:
    """Folder of a shipped bundle by name, or of any bundle by its path.

    Raises:
        InputError: there is no such bundle.
    """
    for candidate in (Path(name), resource_path("Bundles") / name):
        if (candidate / "configs" / "metadata.json").is_file():
            return candidate.resolve()
    raise InputError(f"No bundle '{name}': give the folder of a MONAI bundle or one of {', '.join(bundle_names())}.")


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
    """The bundle's network in evaluation mode with its weights loaded strictly, float32.

    Raises:
        InputError: weights are missing or do not fit the network.
    """
    weights = bundle / "models" / "model.pt"
    if not weights.is_file():
        raise InputError(f"{weights}: the network has no weights; train it with 'cineheart train {bundle.name}'.")
    network = parser.get_parsed_content("network_def", instantiate=True)
    try:
        network.load_state_dict(read_weights(weights), strict=True)
    except (RuntimeError, AttributeError) as error:
        raise InputError(f"{weights}: the weights do not belong to this bundle's network.") from error
    return network.to(device).eval()


def read_weights(path: Path) -> dict:
    """The state dictionary of a weights file, float32 on the CPU."""
    import torch

    return {key: value.float() for key, value in torch.load(path, map_location="cpu", weights_only=True).items()}
