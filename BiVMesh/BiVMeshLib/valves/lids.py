"""The lid of a ventricle's opening with a cap for each valve: plane, meshed, and moving with the rim.

The rings are drawn into the opening as closed lines of nodes. Where a ring comes near to the rim, or lies beyond it,
its line is the rim itself, and two rings that meet share their border. Inside, nodes lie on a triangular grid; all are
joined by a constrained Delaunay triangulation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from BiVMeshLib.check.topology import edge_counts
from CardiacLib.types.bivmesh import VALVE_PATCHES, ValveRing

from .openings import Opening, plane_axes, to_segments, within

SNAP_MM = 3.0
"""Hinges lie where leaflets join the wall: a ring nearer to the wall than this is on it. About as much as a point is
uncertain."""
HOLD = 1.5
"""Times SNAP_MM up to which a ring stays on the wall once it is there: short gaps between them are none."""
FLAT, MOST_ROUNDS = 0.02, 30
"""Share of the median area below which a triangle of a moved lid counts as folded, and rounds of unfolding."""
CLEAR = 0.6
"""Grid nodes keep this share of the rim's edge length from every line."""
DETOUR = 3.0
"""A line between two nodes of the rim follows it unless that is so many times longer."""


@dataclass(frozen=True)
class Lid:
    """Triangles that close an opening.

    Attributes:
        line: int64 (R,) nodes of the mesh along the rim.
        weights: float64 (E, R) of the rim's nodes in each of the lid's own nodes.
        triangles: int64 (F, 3), out of the blood: numbers below R are places in ``line``, R + e own nodes.
        faces: int32 (F,) id of a valve, or ``rest``.
    """

    line: np.ndarray
    weights: np.ndarray
    triangles: np.ndarray
    faces: np.ndarray

    def numbered(self, n_nodes: int) -> np.ndarray:
        """(F, 3) triangles in the numbers of a mesh of ``n_nodes`` nodes, behind which the lid's own are put."""
        return np.concatenate([self.line, n_nodes + np.arange(len(self.weights))])[self.triangles]

    def own(self, nodes: np.ndarray) -> np.ndarray:
        """(E, 3) places of the lid's own nodes for the mesh's nodes (N, 3), at rest or moved.

        They go with the rim; where triangles would fold over others for that, as at a tip that closes, nodes give way
        in the lid's plane.
        """
        found = self.weights @ nodes[self.line]
        axes = plane_axes(nodes[self.line])[:, :2]
        flat = np.concatenate([nodes[self.line], found]) @ axes
        return found + (unfolded(flat, self.triangles, len(self.line)) - flat)[len(self.line) :] @ axes.T

    def folded(self, nodes: np.ndarray) -> int:
        """Triangles that lie over others for the mesh's nodes (N, 3)."""
        places = np.concatenate([nodes[self.line], self.own(nodes)]) @ plane_axes(nodes[self.line])[:, :2]
        return int((doubled_area(places, self.triangles) <= 0).sum())

    def border(self, face: int) -> np.ndarray:
        """(S, 2) edges round the triangles of one id, in the numbers of ``triangles``."""
        chosen = self.triangles[self.faces == face]
        if not len(chosen):
            return np.empty((0, 2), np.int64)
        edges, count, _ = edge_counts(chosen)
        return edges[count == 1]

    def rim_faces(self) -> np.ndarray:
        """(R,) id of the triangle at the rim's edge from each node of ``line`` to the next."""
        size = len(self.line)
        found = np.zeros(size, np.int32)
        for n in range(3):
            a, b = self.triangles[:, n], self.triangles[:, (n + 1) % 3]
            on_rim = (a < size) & (b == (a + 1) % size)
            found[a[on_rim]] = self.faces[on_rim]
        return found

    def sizes(self, nodes: np.ndarray, face: int) -> tuple[float, float]:
        """Area in mm^2 and perimeter in mm of one id's triangles for the mesh's nodes (N, 3)."""
        places = np.concatenate([nodes[self.line], self.own(nodes)])
        a, b, c = (places[self.triangles[self.faces == face][:, n]] for n in range(3))
        area = 0.5 * float(np.linalg.norm(np.cross(b - a, c - a).sum(0)))
        ends = places[self.border(face)]
        return area, float(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).sum())


def lid_with_caps(opening: Opening, rings: Sequence[ValveRing], rest: int, snap_mm: float = SNAP_MM) -> Lid:
    """The lid of an opening.

    Args:
        rings: of the valves in it; the first ones go before the others where they overlap.
        rest: id of the triangles of no valve.
        snap_mm: distance of a ring from the wall below which it is on the wall.

    Raises:
        ValueError: the opening could not be triangulated with these rings.
    """
    drawing = _Drawing(opening.flat, opening.spacing_mm, max(snap_mm, CLEAR * opening.spacing_mm))
    lines = [drawing.draw(opening.to_plane(ring.points)) for ring in rings]
    points = np.concatenate([drawing.points, drawing.grid()])
    triangles = _triangulated(points, len(opening.flat), drawing.edges)
    middles = points[triangles].mean(1)
    faces = np.full(len(triangles), rest, np.int32)
    for ring, line in zip(rings, lines, strict=True):
        if len(line) > 2:
            inside = np.flatnonzero(within(points[line], middles) & (faces == rest))
            faces[inside[_parts(triangles[inside]) == 0]] = VALVE_PATCHES[ring.name]
    faces = _filled(triangles, faces, rest)
    weights = _harmonic(points, triangles, len(opening.flat))
    return Lid(opening.line, weights=weights, triangles=triangles, faces=faces)


def unfolded(points: np.ndarray, triangles: np.ndarray, n_held: int) -> np.ndarray:
    """Points (P, 2) moved so that no triangle (F, 3) folds over others; the first ``n_held`` stay.

    The free points of triangles with less than FLAT of the median area, and their neighbours, go one by one where the
    least area round them is largest. Whether that succeeded is for the caller to look at.
    """
    area = doubled_area(points, triangles)
    enough = FLAT * float(np.median(area))
    if area.min() >= enough:
        return points
    points = points.copy()
    for _ in range(MOST_ROUNDS):
        bad = np.unique(triangles[doubled_area(points, triangles) < enough])
        if not len(bad):
            break
        near = np.unique(triangles[np.isin(triangles, bad).any(1)])
        for node in near[near >= n_held]:
            fan = triangles[(triangles == node).any(1)]
            points[node] = _best_place(points, fan, int(node))
    return points


def _best_place(points: np.ndarray, fan: np.ndarray, node: int) -> np.ndarray:
    """Where the least area of the triangles (F, 3) round a node is largest: areas are linear in its place."""
    turn = np.argmax(fan == node, axis=1)[:, None]
    first, second = (points[np.take_along_axis(fan, (turn + n) % 3, 1)[:, 0]] for n in (1, 2))
    side = second - first
    slope, level = np.column_stack([-side[:, 1], side[:, 0]]), side[:, 1] * first[:, 0] - side[:, 0] * first[:, 1]
    limits = np.column_stack([-slope, np.ones(len(fan))])
    found = scipy.optimize.linprog([0.0, 0.0, -1.0], A_ub=limits, b_ub=level, bounds=[(None, None)] * 3)
    return found.x[:2] if found.success else points[node]


class _Drawing:
    """Nodes and lines in an opening: at first its rim alone.

    Args:
        rim: (R, 2) mm, counterclockwise.
        spacing: of nodes on lines and grid, mm.
        snap: distance from a line's node below which that node is taken, mm.
    """

    def __init__(self, rim: np.ndarray, spacing: float, snap: float):
        self.points, self.spacing, self.snap = rim, spacing, snap
        self.lines = [np.arange(len(rim))]
        self.edges = {(n, (n + 1) % len(rim)) for n in range(len(rim))}

    def draw(self, curve: np.ndarray) -> np.ndarray:
        """Nodes (L,) of the closed line that is drawn for a curve (P, 2); fewer than three: it encloses nothing."""
        network, known = self._network(), len(self.points)
        added, line = [], []
        places = _evenly(curve, self.spacing)
        near, far = (np.array(part) for part in zip(*map(self._near, places), strict=True))
        for place, node, held in zip(
            places, near.tolist(), _grown(far < self.snap, far < HOLD * self.snap), strict=True
        ):
            if not held:
                node = known + len(added)
                added.append(place)
            if not line or line[-1] != node:
                line.append(node)
        self.points = np.concatenate([self.points, *[place[None] for place in added]])
        whole = [n for a, b in zip(line, line[1:] + line[:1], strict=True) for n in self._path(network, a, b)]
        found = _without_spikes(whole)
        if len(found) > 2:
            self.lines.append(found)
            sides = zip(found.tolist(), np.roll(found, -1).tolist(), strict=True)
            self.edges |= {(a, b) for a, b in sides if (b, a) not in self.edges}
        return found

    def _near(self, place: np.ndarray) -> tuple[int, float]:
        """The nearest node of a line to a place, and how far it is; 0 for a place beyond that line."""
        rim, *others = self.lines
        beyond = [rim] if not within(self.points[rim], place[None])[0] else []
        beyond += [line for line in others if within(self.points[line], place[None])[0]]
        nodes = beyond[0] if beyond else np.unique(np.concatenate(self.lines))
        far = np.linalg.norm(self.points[nodes] - place, axis=1)
        return int(nodes[far.argmin()]), 0.0 if beyond else float(far.min())

    def _network(self) -> "scipy.sparse.csr_matrix":
        ends = np.array(sorted(self.edges))
        length = np.linalg.norm(self.points[ends[:, 0]] - self.points[ends[:, 1]], axis=1)
        return scipy.sparse.csr_matrix((length, (ends[:, 0], ends[:, 1])), shape=(len(self.points),) * 2)

    def _path(self, network: "scipy.sparse.csr_matrix", a: int, b: int) -> list[int]:
        """Nodes from ``a`` to before ``b``: along known lines between two of their nodes, else straight."""
        if max(a, b) >= network.shape[0] or a == b:
            return [a]
        length, before = scipy.sparse.csgraph.dijkstra(network, directed=False, indices=a, return_predecessors=True)
        if length[b] > DETOUR * np.linalg.norm(self.points[a] - self.points[b]) + self.spacing:
            return [a]
        way = [b]
        while way[-1] != a:
            way.append(int(before[way[-1]]))
        return way[:0:-1]

    def grid(self) -> np.ndarray:
        """(G, 2) nodes of a triangular grid within the rim, clear of every line."""
        step = self.spacing
        low, high = self.points.min(0), self.points.max(0)
        rows = np.arange(low[1], high[1], step * np.sqrt(0.75))
        columns = np.arange(low[0], high[0] + step, step)
        x = columns[None] + 0.5 * step * (np.arange(len(rows)) % 2)[:, None]
        found = np.stack([x, np.broadcast_to(rows[:, None], x.shape)], axis=-1).reshape(-1, 2)
        found = found[within(self.points[self.lines[0]], found)]
        ends = self.points[np.array(sorted(self.edges))]
        return found[to_segments(ends[:, 0], ends[:, 1], found)[0] > CLEAR * step] if len(found) else found


def _grown(seeds: np.ndarray, where: np.ndarray) -> np.ndarray:
    """bool (P,): along a closed line, ``seeds`` and what of ``where`` hangs together with them."""
    found = seeds.copy()
    for _ in range(len(found)):
        found |= where & (np.roll(found, 1) | np.roll(found, -1))
    return found


def _evenly(curve: np.ndarray, spacing: float) -> np.ndarray:
    """Points (P, 2) along a closed curve at equal distances of about ``spacing``."""
    closed = np.concatenate([curve, curve[:1]])
    length = np.append(0.0, np.linalg.norm(np.diff(closed, axis=0), axis=1).cumsum())
    count = max(round(float(length[-1]) / spacing), 6)
    places = np.arange(count) / count * length[-1]
    return np.stack([np.interp(places, length, closed[:, n]) for n in (0, 1)], axis=1)


def _without_spikes(line: list[int]) -> np.ndarray:
    """A closed line without nodes that follow themselves, and without ways there and back."""
    found: list[int] = []
    for node in line:
        if found and found[-1] == node:
            continue
        if len(found) > 1 and found[-2] == node:
            found.pop()
            continue
        found.append(node)
    while len(found) > 2 and (found[0] == found[-1] or found[1] == found[-1]):
        found = found[:-1] if found[0] == found[-1] else found[1:]
    return np.array(found)


def _triangulated(points: np.ndarray, n_rim: int, edges: set[tuple[int, int]]) -> np.ndarray:
    """(F, 3) constrained Delaunay triangles, counterclockwise, of points (P, 2) whose first are the rim."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkFiltersCore import vtkDelaunay2D

    places = vtkPoints()
    places.SetData(numpy_to_vtk(np.column_stack([points, np.zeros(len(points))]), deep=True))
    given, lines = vtkPolyData(), vtkPolyData()
    given.SetPoints(places)
    lines.SetPoints(places)
    polygon, inner = vtkCellArray(), vtkCellArray()
    polygon.InsertNextCell(n_rim, list(range(n_rim)))
    for a, b in sorted(edges):
        if max(a, b) >= n_rim or (b - a) % n_rim not in (1, n_rim - 1):
            inner.InsertNextCell(2, [a, b])
    lines.SetPolys(polygon)
    lines.SetLines(inner)
    delaunay = vtkDelaunay2D()
    delaunay.SetInputData(given)
    delaunay.SetSourceData(lines)
    delaunay.Update()
    polygons = delaunay.GetOutput().GetPolys()
    triangles = vtk_to_numpy(polygons.GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    doubled = doubled_area(points, triangles)
    triangles = np.where((doubled < 0)[:, None], triangles[:, ::-1], triangles)
    x, y = points[:n_rim].T
    whole = float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())
    border, count, _ = edge_counts(triangles)
    outer = {tuple(edge) for edge in border[count == 1].tolist()}
    wanted = {(min(n, (n + 1) % n_rim), max(n, (n + 1) % n_rim)) for n in range(n_rim)}
    if (
        outer != wanted
        or not np.isclose(np.abs(doubled).sum(), whole, rtol=1e-6)
        or len(np.unique(triangles)) < len(points)
    ):
        raise ValueError("The opening could not be triangulated with its rings.")
    return triangles


def doubled_area(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(F,) twice the area of triangles (F, 3) of points (P, 2), negative for clockwise ones."""
    a, b, c = (points[triangles[:, n]] for n in range(3))
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])


def _parts(triangles: np.ndarray) -> np.ndarray:
    """(F,) number of the part, joined across edges, that each triangle belongs to; the largest is 0."""
    if not len(triangles):
        return np.zeros(0, np.int64)
    _, count, edge = edge_counts(triangles)
    owner = np.repeat(np.arange(len(triangles)), 3)
    order = np.argsort(edge, kind="stable")
    order = order[count[edge[order]] == 2]
    links = scipy.sparse.coo_matrix(
        (np.ones(len(order) // 2), (owner[order[::2]], owner[order[1::2]])), shape=(len(triangles),) * 2
    )
    part = scipy.sparse.csgraph.connected_components(links, directed=False)[1]
    return np.argsort(np.argsort(-np.bincount(part), kind="stable"))[part]


def _filled(triangles: np.ndarray, faces: np.ndarray, rest: int) -> np.ndarray:
    """Ids (F,) in which no part of the rest but the largest lies between one cap and the wall: the cap takes it."""
    faces, left = faces.copy(), np.flatnonzero(faces == rest)
    edge = edge_counts(triangles)[2].reshape(-1, 3)
    part = _parts(triangles[left])
    for number in range(1, part.max(initial=0) + 1):
        own = left[part == number]
        beside = np.unique(faces[np.isin(edge, edge[own]).any(1)])
        caps = beside[beside != rest]
        if len(caps) == 1:
            faces[own] = caps[0]
    return faces


def _harmonic(points: np.ndarray, triangles: np.ndarray, n_rim: int) -> np.ndarray:
    """(E, R) weights of the rim in the inner points: each is in balance with its neighbours, by cotangents.

    Weights add up to one, and at rest give the points themselves.
    """
    ends, weight = [], []
    for n in range(3):
        top, a, b = (points[triangles[:, (n + k) % 3]] for k in range(3))
        ends.append(triangles[:, [(n + 1) % 3, (n + 2) % 3]])
        weight.append(((a - top) * (b - top)).sum(1) / doubled_area(points, triangles))
    first, second = np.concatenate(ends).T
    both, value = (np.concatenate([first, second]), np.concatenate([second, first])), np.tile(np.concatenate(weight), 2)
    matrix = scipy.sparse.coo_matrix((value, both), shape=(len(points),) * 2).tocsr()
    balance = scipy.sparse.csr_matrix((np.asarray(matrix.sum(1)).ravel(), (np.arange(len(points)),) * 2)) - matrix
    inner = balance[n_rim:]
    if not inner.shape[0]:
        return np.zeros((0, n_rim))
    return scipy.sparse.linalg.spsolve(inner[:, n_rim:].tocsc(), -inner[:, :n_rim].toarray()).reshape(-1, n_rim)
