"""A bundle's network, ready to run: the one way in which segmenters, detectors and propagation open theirs."""

import importlib
from dataclasses import dataclass
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.types.choices import NetworkChoice

from .backends import make_predictor
from .bundles import bundle_metadata, bundle_path, load_network, read_config, require_weights
from .device import choose_device


@dataclass(frozen=True)
class OpenedNetwork:
    """A network that is loaded.

    Attributes:
        folder: of its bundle.
        config: MONAI ConfigParser over the bundle's ``inference.json`` and ``metadata.json``.
        network: torch module in evaluation mode with its weights, on ``device``.
        device: torch device.
        predictor: what runs it, as of :mod:`CardiacLib.networks.backends`.
    """

    folder: Path
    config: "monai.bundle.ConfigParser"  # noqa: F821 - MONAI and torch are imported where they are used
    network: "torch.nn.Module"  # noqa: F821
    device: "torch.device"  # noqa: F821
    predictor: object

    @property
    def name(self) -> str:
        """Of the bundle."""
        return self.folder.name


def open_network(choice: NetworkChoice, *, bfloat16: bool = True) -> OpenedNetwork:
    """Load the network of a choice.

    Args:
        choice: bundle, device and backend; what ``quality`` means is the caller's.
        bfloat16: compute so where that is native; False for networks whose answer needs more than its three digits.

    Raises:
        InputError: bundle, weights, device or backend cannot be used.
    """
    folder = bundle_path(choice.bundle)
    require_weights(folder)  # before MONAI is loaded, which takes seconds
    config = read_config(folder, "inference", choice.trust)
    device = choose_device(choice.runs_on.device)
    network = load_network(folder, config, device)
    predictor = make_predictor(network, device, choice.runs_on.backend, bfloat16=bfloat16)
    return OpenedNetwork(folder, config, network, device, predictor)


def runner_of(choice: NetworkChoice, library: str, usual: str) -> type:
    """The class that runs a bundle: the one that its ``metadata.json`` names as ``runner``.

    Args:
        choice: of the bundle.
        library: package that the class must be of, for instance ``CardiacSegLib``.
        usual: ``module.Class`` for bundles that name none: those made elsewhere.

    Raises:
        InputError: there is no such bundle, its weights are missing, or it is not run by this library.
    """
    folder = bundle_path(choice.bundle)
    require_weights(folder)
    named = str(bundle_metadata(folder).get("runner", usual))
    module, _, name = named.rpartition(".")
    try:
        if module.split(".")[0] != library:
            raise ImportError(f"it is run by {module.split('.')[0]}")
        found = getattr(importlib.import_module(module), name)
        if not isinstance(found, type) or not found.__module__.startswith(f"{library}."):
            raise ImportError(f"'{named}' is no class of {library}")
        return found
    except (ImportError, AttributeError) as error:
        raise InputError(f"'{folder.name}' cannot be used here ({error}); choose another bundle.") from error
