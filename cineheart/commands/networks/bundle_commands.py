"""``cineheart bundles``: which networks there are, and the weights that CineHeart does not ship."""

import re
from pathlib import Path

from CardiacLib.networks.bundles import bundle_metadata, bundle_names, bundle_path, weights_path
from CardiacLib.networks.compiled_networks import clear_compiled
from CardiacLib.networks.device import import_torch
from CardiacLib.networks.manifest import manifest
from CardiacLib.networks.model_store import clear, fetch, import_file, weights_source
from CardiacLib.progress import Progress
from cineheart.console import Answer

_DICE = re.compile(r"mean foreground Dice \*\*([\d.]+)\*\*")


def describe_bundles() -> Answer:
    """``cineheart bundles list``: name to what is known of the network and of its weights."""
    return Answer({name: _facts(name) for name in bundle_names()})


def _facts(name: str) -> dict[str, object]:
    bundle, source = bundle_path(name), weights_source(name)
    meta = bundle_metadata(bundle)
    facts = {"task": meta["task"], "version": meta["version"], "weights": source.state, "licence": meta["copyright"]}
    if source.state == "missing":
        ways = (["fetch"] if name in manifest() else []) + ["import"]
        facts["get_with"] = " or ".join(f"cineheart bundles {way} {name}" for way in ways)
        return facts
    facts |= {"file": str(weights_path(bundle)), "size_mb": round(weights_path(bundle).stat().st_size / 1e6, 1)}
    if source.origin is not None:
        facts["from"] = source.origin
    if source.published is False:
        facts["licence"] = f"Weights: as their author says; '{source.origin}' is not the published file."
    else:
        facts |= _card_dice(bundle)
    return facts


def _card_dice(bundle: Path) -> dict[str, float]:
    """Mean Dice that the model card states, where ``cineheart evaluate`` wrote one."""
    card = bundle / "docs" / "README.md"
    stated = _DICE.search(card.read_text(encoding="utf-8")) if card.is_file() else None
    return {"mean_dice": float(stated[1])} if stated else {}


def fetch_bundle(name: str, *, progress: Progress) -> Answer:
    """``cineheart bundles fetch``."""
    return Answer({"weights": str(fetch(name, progress=progress)), "licence": manifest()[name].licence})


def import_bundle(name: str, file: Path, *, trust: bool = False) -> Answer:
    """``cineheart bundles import``."""
    return Answer({"weights": str(import_file(name, file, trust=trust))})


def export_bundle(name: str, *, trust: bool = False) -> Answer:
    """``cineheart bundles export``."""
    import_torch("networks are exported with it")
    from CardiacLib.networks.onnx_export import export_bundle

    exported = export_bundle(bundle_path(name), trust=trust)
    facts = {"network": str(exported.file), "size_mb": round(exported.file.stat().st_size / 1e6, 1)}
    return Answer(facts | exported.record.to_dict())


def clear_bundle(name: str) -> Answer:
    """``cineheart bundles clear``; ``compiled`` stands for the networks that OpenVINO has compiled."""
    freed = clear_compiled() if name == "compiled" else clear(name)
    return Answer({"freed_mb": round(freed / 1e6, 1)})
