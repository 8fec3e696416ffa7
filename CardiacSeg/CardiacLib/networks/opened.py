"""A bundle's network, ready to run: the one way in which segmenters, detectors and propagation open theirs."""

import importlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.types.choices import NetworkChoice

from .backends.choice import Chosen, choose_backend
from .backends.predictor import Predictor
from .bundles import bundle_document, bundle_metadata, bundle_path, require_weights
from .onnx_files import onnx_path, onnx_problem


@dataclass(frozen=True)
class OpenedNetwork:
    """A network that is loaded.

    Attributes:
        folder: of its bundle.
        settings: the JSON document ``configs/inference.json`` as it stands there; nothing of it is evaluated.
        predictor: what runs it.
        said: a sentence on what runs it and why.
    """

    folder: Path
    settings: Mapping[str, object]
    predictor: Predictor
    said: str

    @property
    def name(self) -> str:
        """Of the bundle."""
        return self.folder.name

    def setting(self, *path: str) -> object:
        """What stands in the settings under a path of keys.

        Raises:
            InputError: nothing does, or an expression or reference that only MONAI could evaluate.
        """
        found: object = self.settings
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if found is None or (isinstance(found, str) and found.startswith(("$", "@", "%"))):
            raise InputError(
                f"{self.folder}: its configs/inference.json must state '{'.'.join(path)}' as a plain value; "
                "it does not fit this program."
            )
        return found

    def number(self, *path: str) -> float:
        """A number of the settings; errors as of :meth:`setting`."""
        found = self.setting(*path)
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise InputError(f"{self.folder}: '{'.'.join(path)}' of its configs/inference.json is no number.")
        return found


_keeping: ContextVar[bool] = ContextVar("keeping", default=False)
_kept: dict[tuple[NetworkChoice, bool], OpenedNetwork] = {}


@contextmanager
def kept_open() -> Iterator[None]:
    """Within it, a network that this process has opened so before is used again: for many studies one after another.

    Weights that change meanwhile are not noticed.
    """
    token = _keeping.set(True)
    try:
        yield
    finally:
        _keeping.reset(token)


def open_network(choice: NetworkChoice, *, bfloat16: bool = True) -> OpenedNetwork:
    """Load the network of a choice; within :func:`kept_open` once.

    Args:
        choice: bundle, device and backend; what ``quality`` means is the caller's.
        bfloat16: compute so where that is native; False for networks whose answer needs more than its three digits.

    Raises:
        InputError: bundle, weights, device or backend cannot be used.
    """
    if _keeping.get() and (choice, bfloat16) in _kept:
        return _kept[choice, bfloat16]
    folder = bundle_path(choice.bundle)
    require_weights(folder)
    settings = bundle_document(folder, "inference")
    chosen = choose_backend(choice.runs_on, onnx_problem(folder))
    predictor = _predictor(folder, chosen, choice.trust, bfloat16)
    said = chosen.sentence(folder.name)
    logging.getLogger(__name__).info(said)
    opened = OpenedNetwork(folder, settings, predictor, said)
    if _keeping.get():
        _kept[choice, bfloat16] = opened
    return opened


def _predictor(folder: Path, chosen: Chosen, trust: bool, bfloat16: bool) -> Predictor:
    if chosen.backend == "torch":
        from .backends.torch_backend import open_torch  # PyTorch is not there in the light installation

        return open_torch(folder, chosen.device, trust=trust, bfloat16=bfloat16)
    content = onnx_path(folder).read_bytes()
    if chosen.backend == "openvino":
        from .backends.openvino_backend import OpenVinoPredictor

        return OpenVinoPredictor(content, chosen.device, bfloat16=bfloat16)
    from .backends.onnxruntime_backend import OnnxRuntimePredictor

    return OnnxRuntimePredictor(content)


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
