"""Sections of a model card that a command writes, between ``<!-- name -->`` and ``<!-- /name -->``."""

import os
import re
from pathlib import Path

from CardiacLib.networks.bundles import bundle_metadata


def write_section(path: Path, name: str, title: str, text: str) -> None:
    """Replace what stands between the markers; a card without them, or no card, gets the section at its end."""
    card = path.read_text(encoding="utf-8") if path.is_file() else ""
    block = f"<!-- {name} -->\n{text}<!-- /{name} -->"
    pattern = re.compile(f"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
    if pattern.search(card):
        card = pattern.sub(lambda _: block, card)
    else:
        card = f"{card.rstrip()}\n\n## {title}\n\n{block}\n".lstrip()
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_suffix(".part")
    work.write_text(card, encoding="utf-8")
    os.replace(work, path)


def write_trained_card(path: Path, source: Path) -> None:
    """The model card of a copy that is trained anew: what was measured of the weights of ``source`` is not of it."""
    metadata = bundle_metadata(source)
    lines = [
        f"# {path.parents[1].name}, trained here",
        "",
        f"{metadata.get('task', 'Network')}. Trained by `cineheart train` with the configuration of "
        f"{source.name} {metadata.get('version', '')}.".replace(" .", "."),
        "No accuracy is known: nobody has evaluated these weights. `cineheart evaluate FOLDER --data DIR "
        "--update-card` writes it here, `cineheart calibrate FOLDER --data DIR` makes the confidence theirs.",
        "",
        "Research use only; not a medical device. The licence of the training data applies to the weights.",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def folded(title: str, text: str) -> str:
    """A part of a section that opens on a click, so that the card itself stays one screen."""
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"
