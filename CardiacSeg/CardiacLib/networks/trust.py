"""What of a bundle may run: shipped bundles all, a foreign folder nothing but classes of CineHeart, MONAI and torch.

A MONAI configuration is a program: ``$`` expressions are Python, and a ``_target_`` may name any function there is. So
the configuration of a folder that did not come with CineHeart is used only if it holds neither, or if the user says
that its author is trusted. A configuration that is, byte for byte, one that CineHeart ships (``cineheart train`` copies
them) is no stranger.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.resources import resource_path

LIBRARIES = {"monai", "torch"}
"""Packages of others whose classes a configuration may name."""
RUN_OTHERS = (
    "monai.apps", "monai.bundle", "torch.distributed", "torch.hub", "torch.jit", "torch.multiprocessing",
    "torch.package", "torch.serialization", "torch.utils.cpp_extension", "torch._inductor",
)  # fmt: skip
"""Parts of them whose classes fetch, compile or run something else."""
REMEDY = "use --trust (trust=True) if you trust who made the folder"


def is_shipped(bundle: Path) -> bool:
    """Whether a bundle's folder came with CineHeart."""
    return bundle.resolve().parent == resource_path("Bundles").resolve()


def is_copy_of_shipped(config: Path) -> bool:
    """Whether a configuration is byte for byte one of the same name that came with CineHeart."""
    content = config.read_bytes()
    shipped = resource_path("Bundles").glob(f"*/configs/{config.name}")
    return any(content == file.read_bytes() for file in shipped)


@cache
def familiar_packages() -> frozenset[str]:
    """LIBRARIES, and CineHeart's packages: those that the ``inference.json`` of shipped bundles name."""
    texts = [file.read_text(encoding="utf-8") for file in resource_path("Bundles").glob("*/configs/inference.json")]
    return frozenset(LIBRARIES | {root for text in texts for root in re.findall(r'"_target_": "(\w+)\.', text)})


def require_harmless(bundle: Path, document: object, locator: object) -> None:
    """Refuse a configuration that could run code.

    Args:
        bundle: folder, for the message.
        document: the configuration as it was read, macros resolved, nothing of it evaluated.
        locator: MONAI's ComponentLocator, which knows the short names of its classes.

    Raises:
        InputError: it holds an expression, or names something that is no class of CineHeart, MONAI or torch.
    """
    for place, value in _leaves(document, ""):
        if isinstance(value, str) and value.strip().startswith("$"):
            raise InputError(
                f"{bundle}: its configuration holds Python expressions ('{place}'), which could do anything; {REMEDY}."
            )
        key = place.rpartition("::")[2]
        if key == "_target_" and not _is_familiar(value, locator):
            raise InputError(
                f"{bundle}: its configuration names '{value}', which is no class of CineHeart, MONAI or torch and "
                f"could do anything; {REMEDY}."
            )
        if key == "_mode_" and value != "default":
            raise InputError(f"{bundle}: its configuration holds a '_mode_' other than default; {REMEDY}.")


def _leaves(value: object, place: str) -> Iterator[tuple[str, object]]:
    """Everything in nested dictionaries and lists that is neither, with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}::{key}".removeprefix("::"))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _leaves(inner, f"{place}::{n}".removeprefix("::"))
    else:
        yield place, value


def _is_familiar(target: object, locator: object) -> bool:
    """Whether a ``_target_`` is a class of familiar packages; nothing else is imported to find out."""
    from pydoc import ErrorDuringImport, locate

    from monai.bundle.config_item import ConfigComponent

    if not isinstance(target, str):
        return False
    name = target
    if "." not in name:
        name = ConfigComponent({"_target_": target}, locator=locator).resolve_module_name()
    if not isinstance(name, str) or name.split(".")[0] not in familiar_packages():
        return False
    try:
        found = locate(name)
    except ErrorDuringImport:
        return False
    module = getattr(found, "__module__", "") or ""
    own = module.split(".")[0] in familiar_packages() and not any(
        _within(place, RUN_OTHERS) for place in (module, name)
    )
    return isinstance(found, type) and own


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
