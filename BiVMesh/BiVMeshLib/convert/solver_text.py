"""Abaqus, FEBio and openCARP files as the exporters write them, brought back."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from BiVMeshLib.exporters.space import Space, read_space
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import ALL_PATCHES, REGIONS

from .parts import Found, outward

ABAQUS_FACES = np.array([(0, 1, 2), (0, 3, 1), (1, 3, 2), (2, 3, 0)])
"""Corners of the faces S1 to S4 of C3D4 and C3D10."""
CARP_MM = 1000.0


def read_inp(path: Path) -> Found:
    """Nodes, C3D4 or C3D10 by element set, element surfaces, and the directions of the distribution FIBRE_AXES."""
    text = path.read_text(encoding="ascii", errors="replace")
    nodes, tets, regions, patches, axes = [], [], [], [], None
    for block in re.split(r"^\*(?!\*)", text, flags=re.MULTILINE)[1:]:
        head, *lines = block.splitlines()
        keyword, option = _keyword(head)
        lines = [line for line in lines if line and not line.startswith("**")]
        if keyword == "NODE":
            nodes.append(_table(path, lines))
        elif keyword == "ELEMENT" and option.get("TYPE", "").startswith("C3D") and option.get("ELSET") in REGIONS:
            rows = _table(path, lines).astype(np.int64)
            tets.append(rows)
            regions.append(np.full(len(rows), REGIONS[option["ELSET"]]))
        elif keyword == "SURFACE" and option.get("NAME") in ALL_PATCHES:
            pairs = [line.split(",") for line in lines]
            faces = np.array([(int(element), int(side.strip()[1:]) - 1) for element, side in pairs])
            patches.append((ALL_PATCHES[option["NAME"]], faces))
        elif keyword == "DISTRIBUTION" and option.get("NAME") == "FIBRE_AXES":
            axes = _table(path, lines[1:])
    if not nodes or not tets:
        raise InputError(f"{path}: has no nodes or no C3D4 or C3D10 elements of a heart; write it again.")
    node_table, tet_table = np.concatenate(nodes), np.concatenate(tets)
    order = np.argsort(tet_table[:, 0])
    number = _numbers(node_table[:, 0].astype(np.int64))
    corners, elements_by_id = number[tet_table[order, 1:]], _numbers(tet_table[order, 0])
    points = node_table[:, 1:4]
    faces = [corners[elements_by_id[f[:, 0]][:, None], ABAQUS_FACES[f[:, 1]]] for _, f in patches]
    triangles = np.concatenate(faces) if faces else np.empty((0, 3), np.int64)
    cells = {}
    if axes is not None:
        row = elements_by_id[axes[:, 0].astype(np.int64)]
        fibre, sheet = np.empty((2, len(corners), 3))
        fibre[row], sheet[row] = axes[:, 1:4], axes[:, 4:7]
        cells = _frames(fibre, sheet)
    ids = [np.full(len(f), n) for n, f in patches]
    return Found(
        nodes=points,
        tets=corners,
        regions=np.concatenate(regions)[order],
        triangles=outward(corners, points, triangles) if len(triangles) else triangles,
        patches=np.concatenate(ids) if ids else np.empty(0, np.int32),
        cells=cells,
        space=read_space(text),
    )


def read_feb(path: Path) -> Found:
    """``Mesh`` of febio_spec 4.0 with the blocks and surfaces named as ours, and ``mat_axis``."""
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        raise InputError(f"{path}: is not a FEBio model ({error}); write it again.") from error
    mesh = root.find("Mesh")
    if mesh is None:
        raise InputError(f"{path}: has no Mesh section; give a model of febio_spec 3 or 4.")
    listed = [node for part in mesh.findall("Nodes") for node in part]
    number = _numbers(np.array([int(node.get("id")) for node in listed]))
    nodes = np.array([_values(node, float) for node in listed])
    blocks = [block for block in mesh.findall("Elements") if block.get("name") in REGIONS]
    if not blocks:
        raise InputError(f"{path}: has no element blocks {', '.join(REGIONS)}; write it again.")
    ids = np.array([int(e.get("id")) for block in blocks for e in block])
    tets = number[np.array([_values(e, int) for block in blocks for e in block])]
    regions = np.repeat([REGIONS[block.get("name")] for block in blocks], [len(block) for block in blocks])
    order = np.argsort(ids)
    surfaces = [s for s in mesh.findall("Surface") if s.get("name") in ALL_PATCHES]
    triangles = [number[np.array([_values(t, int) for t in s])] for s in surfaces]
    patches = np.repeat([ALL_PATCHES[s.get("name")] for s in surfaces], [len(t) for t in triangles])
    cells, starts = {}, dict(zip([b.get("name") for b in blocks], np.cumsum([0, *map(len, blocks)]), strict=False))
    axes = root.findall("MeshData/ElementData[@type='mat_axis']")
    if axes:
        fibre, sheet = np.empty((2, len(tets), 3))
        for data in axes:
            rows = starts[data.get("elem_set")] + np.array([int(e.get("lid")) for e in data]) - 1
            fibre[rows] = [_values(e.find("a"), float) for e in data]
            sheet[rows] = [_values(e.find("d"), float) for e in data]
        cells = _frames(fibre[order], sheet[order])
    with open(path, encoding="iso-8859-1") as stream:
        space = read_space(stream.read(2000))
    return Found(
        nodes=nodes,
        tets=tets[order],
        regions=regions[order],
        triangles=np.concatenate(triangles) if triangles else np.empty((0, 3), np.int64),
        patches=patches,
        cells=cells,
        space=space,
    )


def read_carp(path: Path) -> Found:
    """openCARP: ``NAME.pts`` or ``.elem`` with the others of its folder, micrometres."""
    stem = path.with_suffix("")
    for ending in (".pts", ".elem"):
        if not stem.with_suffix(ending).is_file():
            raise InputError(f"{path}: {stem.name}{ending} is missing beside it; keep the mesh's files together.")
    points = np.loadtxt(stem.with_suffix(".pts"), skiprows=1, ndmin=2) / CARP_MM
    rows = np.loadtxt(stem.with_suffix(".elem"), skiprows=1, dtype=str, ndmin=2)
    if set(rows[:, 0]) != {"Tt"}:
        raise InputError(f"{path}: has elements other than tetrahedra (Tt); give a mesh that CineHeart wrote.")
    table = rows[:, 1:].astype(np.int64)
    triangles, patches = [], []
    for name, number in ALL_PATCHES.items():
        surface = path.with_name(f"{name}.surf")
        if surface.is_file():
            found = np.loadtxt(surface, skiprows=1, dtype=str, ndmin=2)[:, 1:4].astype(np.int64)
            triangles.append(found)
            patches.append(np.full(len(found), number))
    cells = {}
    if stem.with_suffix(".lon").is_file():
        axes = np.loadtxt(stem.with_suffix(".lon"), skiprows=1, ndmin=2)
        cells = _frames(axes[:, :3], axes[:, 3:6]) if axes.shape[1] >= 6 else {"fibre": axes[:, :3]}
    return Found(
        nodes=points,
        tets=table[:, :4],
        regions=table[:, 4],
        triangles=np.concatenate(triangles) if triangles else np.empty((0, 3), np.int64),
        patches=np.concatenate(patches) if patches else np.empty(0, np.int32),
        cells=cells,
        space=_space_beside(path.with_name("mesh.json")),
    )


def _space_beside(path: Path) -> Space | None:
    """Frame of ``mesh.json``; lengths were brought to mm already."""
    if not path.is_file():
        return None
    about = json.loads(path.read_text(encoding="utf-8"))
    frame = about.get("frame", "LPS")
    turned = np.diag([-1.0, -1.0, 1.0, 1.0]) if frame == "RAS" else np.eye(4)
    return Space("mm", frame, np.array(about.get("from_lps_mm", turned.tolist())))


def _frames(fibre: np.ndarray, sheet: np.ndarray) -> dict[str, np.ndarray]:
    return {"fibre": fibre, "sheet": sheet, "normal": np.cross(fibre, sheet)}


def _keyword(head: str) -> tuple[str, dict[str, str]]:
    keyword, *options = [part.strip() for part in head.split(",")]
    pairs = (option.split("=", 1) for option in options if "=" in option)
    return keyword.upper(), {name.strip().upper(): value.strip() for name, value in pairs}


def _table(path: Path, lines: list[str]) -> np.ndarray:
    """Numbers of lines that all have as many, separated by commas."""
    try:
        width = lines[0].count(",") + 1
        return np.array(",".join(lines).split(","), float).reshape(-1, width)
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: has a table that is not one of numbers ({error}); write it again.") from error


def _numbers(ids: np.ndarray) -> np.ndarray:
    """Table from an id to its row."""
    table = np.full(int(ids.max()) + 1, -1)
    table[ids] = np.arange(len(ids))
    return table


def _values(element: ET.Element, kind) -> list:
    return [kind(text) for text in element.text.split(",")]
