"""What is published of weights that CineHeart does not ship."""

import json
from dataclasses import dataclass

from CardiacLib.resources import resource_path


@dataclass(frozen=True)
class Entry:
    """What the manifest knows of published weights.

    Attributes:
        name: of the bundle.
        version: of the published bundle.
        licence: of the weights.
        file: path of the weights inside the published bundle.
        urls: where they can be had, tried in this order.
        page: for people.
        md5, sha256: of the file, those that are known; at least one.
        size: of the file in bytes, or None.
    """

    name: str
    version: str
    licence: str
    file: str
    urls: tuple[str, ...]
    page: str
    md5: str | None = None
    sha256: str | None = None
    size: int | None = None


def manifest() -> dict[str, Entry]:
    """Bundles whose weights can be fetched, by name."""
    stated = json.loads(resource_path("Bundles/manifest.json").read_text(encoding="utf-8"))
    return {name: Entry(name, **(facts | {"urls": tuple(facts["urls"])})) for name, facts in stated.items()}
