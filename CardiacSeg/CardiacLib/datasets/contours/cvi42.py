"""Workspaces of cvi42 (``.cvi42wsx``): XML in which every image, by its SOP Instance UID, has named contours.

Elements are ``Hash:item`` with an attribute ``Hash:key``. Under the key of an image lies ``Contours``, under that the
name of each contour with its ``Points`` (``Point:x``, ``Point:y``) and ``SubpixelResolution``, by which the coordinates
are to be divided to give columns and rows of the image.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.cine import Cine

from .fill import ENDO, EPI, RIGHT, Contour

SUFFIX = ".cvi42wsx"
KINDS = {
    "saendocardialcontour": ENDO,
    "saepicardialcontour": EPI,
    "sarvendocardialcontour": RIGHT,
    "laendocardialcontour": ENDO,
    "laepicardialcontour": EPI,
    "larvendocardialcontour": RIGHT,
}
FEWEST_POINTS = 3


@dataclass
class _Node:
    """An XML element: what its ``Hash:key`` says, its text, and those within."""

    tag: str
    key: str
    text: str = ""
    inside: list["_Node"] = field(default_factory=list)

    def below(self) -> Iterator["_Node"]:
        """Everything within, the element itself first."""
        yield self
        for node in self.inside:
            yield from node.below()

    def named(self, key: str) -> "_Node | None":
        """The first element directly within that has a key."""
        return next((node for node in self.inside if node.key == key), None)


def read_cvi42(path: Path, cine: Cine) -> list[Contour]:
    """Contours of a workspace that lie on the images of a cine.

    Raises:
        InputError: no workspace, or the cine was not read from DICOM.
    """
    places = _places(cine, path)
    contours = []
    for node in _parsed(path).below():
        place = places.get(node.key)
        drawn = node.named("Contours") if place is not None else None
        if place is None or drawn is None:
            continue
        for item in drawn.inside:
            kind = KINDS.get(item.key.lower())
            points = _points(item, path)
            if kind and len(points) >= FEWEST_POINTS:
                contours.append(Contour(kind, *place, points))
    return contours


def _places(cine: Cine, path: Path) -> dict[str, tuple[int, int]]:
    """SOP Instance UID to frame and slice."""
    import pydicom

    if not cine.files:
        raise InputError(f"{path}: names its images by their DICOM identity; give the DICOM folder as the image.")
    found = {}
    for t, slices in enumerate(cine.files):
        for k, file in enumerate(slices):
            if file is not None:
                header = pydicom.dcmread(file[0], stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
                found[str(header.get("SOPInstanceUID", ""))] = (t, k)
    return found


def _points(item: _Node, path: Path) -> np.ndarray:
    """(N, 2) column and row."""
    listed, resolution = item.named("Points"), item.named("SubpixelResolution")
    texts = list(listed.below()) if listed else []
    columns, rows = ([n.text for n in texts if n.tag == f"Point:{axis}"] for axis in "xy")
    try:
        scale = float(resolution.text) if resolution and resolution.text.strip() else 1.0
        points = np.array([columns, rows], float).T / scale
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"{path}: the points of '{item.key}' are no pairs of numbers; export it again.") from error
    return points.reshape(-1, 2)


def _parsed(path: Path) -> _Node:
    root = _Node("", "")
    open_nodes = [root]

    def start(tag: str, attributes: dict[str, str]) -> None:
        node = _Node(tag, attributes.get("Hash:key", ""))
        open_nodes[-1].inside.append(node)
        open_nodes.append(node)

    def text(content: str) -> None:
        open_nodes[-1].text += content

    def entity(*_: object) -> None:
        raise InputError(f"{path}: declares XML entities, which no cvi42 workspace does; it is not read.")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_nodes.pop()
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(path.read_bytes(), True)
    except (OSError, expat.ExpatError) as error:
        raise InputError(f"{path}: is no cvi42 workspace ({error}); export it again.") from error
    return root
