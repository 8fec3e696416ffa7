"""The lid of a ventricle's opening with a cap for each valve, which spans the valve's ring in every frame.

From the rim a collar goes to a border, and within it lie the lines of the valves (``outlines``). Inside, nodes lie on a
triangular grid; all are joined once by a constrained Delaunay triangulation, in the mesh's own frame. In another frame
border and lines are drawn anew round the rings of that frame, with as many nodes, and the others go with them: the
triangles stay the same.

Seen along the normal of the base plane a lid never covers itself, but where the border passes the rim; heights are
those of the rings, nowhere below the base plane, and higher where the lid would cross its collar.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from BiVMeshLib.check.intersections import self_intersections
from BiVMeshLib.check.topology import edge_counts
from CardiacLib.types.bivmesh import VALVE_PATCHES, ValveRing

from .openings import Opening, opened, to_segments, within
from .outlines import GAP_MM, LIFT_MM, Outlines, evenly, lift, outlines
from .unfold import Tracks, doubled_area, unfolded

FLAT = 0.02
"""Share of the median area below which a triangle of a moved lid counts as folded."""
CLEAR = 0.6
"""Grid nodes keep this share of the rim's edge length from every line."""
LEAST_LINE = 8
"""Nodes of a valve's line."""
RISE, MOST_RISES = 0.25, 40
"""Of GAP_MM, how far nodes of triangles that cross are raised in one round, and rounds."""
MOST_SPLITS = 6
"""Rounds of splitting the sides that join two lines."""


@dataclass(frozen=True)
class Lid:
    """Triangles that close an opening.

    Attributes:
        line: int64 (R,) nodes of the mesh along the rim.
        opening: at rest.
        rings: at rest, those that have a cap.
        counts: nodes of the line of each of these.
        gap_mm: between its lines.
        weights: float64 (E, H) of border and lines, one after the other, in each of the nodes between them.
        flat: float64 (H + E, 2) mm, places of the own nodes at rest.
        triangles: int64 (F, 3), out of the blood: numbers below R are places in ``line``, then come the border, the
            lines and the nodes between them.
        faces: int32 (F,) id of a valve, or ``rest``.
    """

    line: np.ndarray
    opening: Opening
    rings: tuple[ValveRing, ...]
    counts: tuple[int, ...]
    gap_mm: float
    weights: np.ndarray
    flat: np.ndarray
    triangles: np.ndarray
    faces: np.ndarray

    @property
    def n_own(self) -> int:
        """Nodes of the lid alone."""
        return self.weights.shape[1] + len(self.weights)

    def numbered(self, n_nodes: int) -> np.ndarray:
        """(F, 3) triangles in the numbers of a mesh of ``n_nodes`` nodes, behind which the lid's own are put."""
        return np.concatenate([self.line, n_nodes + np.arange(self.n_own)])[self.triangles]

    def own(self, nodes: np.ndarray, rings: Sequence[ValveRing] | None = None) -> np.ndarray:
        """(E, 3) places of the lid's own nodes for the mesh's nodes (N, 3), at rest or moved.

        Args:
            rings: of that frame; one that is missing goes with the rim. None: those at rest, all with the rim.
        """
        if not self.n_own:
            return np.zeros((0, 3))
        flat, height, opening = self._placed(nodes, rings)
        return opening.to_lps(flat) + height[:, None] * opening.axes[:, 2]

    def folded(self, nodes: np.ndarray, rings: Sequence[ValveRing] | None = None) -> int:
        """Triangles within the border that lie over others, seen along the normal of the base plane."""
        if not self.n_own:
            return 0
        inner = self.triangles[(self.triangles >= len(self.line)).all(1)] - len(self.line)
        return int((doubled_area(self._placed(nodes, rings)[0], inner) <= 0).sum())

    def border(self, face: int) -> np.ndarray:
        """(S, 2) edges round the triangles of one id, in the numbers of ``triangles``."""
        chosen = self.triangles[self.faces == face]
        if not len(chosen):
            return np.empty((0, 2), np.int64)
        edges, count, _ = edge_counts(chosen)
        return edges[count == 1]

    def sizes(self, nodes: np.ndarray, face: int, rings: Sequence[ValveRing] | None = None) -> tuple[float, float]:
        """Area in mm^2 and perimeter in mm of one id's triangles for the mesh's nodes (N, 3)."""
        places = np.concatenate([nodes[self.line], self.own(nodes, rings)])
        a, b, c = (places[self.triangles[self.faces == face][:, n]] for n in range(3))
        area = 0.5 * float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())
        ends = places[self.border(face)]
        return area, float(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).sum())

    def _placed(self, nodes: np.ndarray, rings: Sequence[ValveRing] | None) -> tuple[np.ndarray, np.ndarray, Opening]:
        """Places of the own nodes in the plane (E, 2), their heights (E,), and the opening."""
        opening = opened(nodes, self.line)
        known = {ring.name: ring.points for ring in rings or ()}
        curves = [known.get(ring.name) for ring in self.rings]
        curves = [
            self._with_rim(ring, opening) if points is None else points
            for ring, points in zip(self.rings, curves, strict=True)
        ]
        lines = _lines(opening, curves, self.gap_mm)
        if any(line is None for line in lines.valves):  # beside the opening in this frame
            curves = [
                self._with_rim(ring, opening) if line is None else points
                for ring, points, line in zip(self.rings, curves, lines.valves, strict=True)
            ]
            lines = _lines(opening, curves, self.gap_mm)
        tracks = _tracks(lines, curves, opening, self.counts)
        held = tracks.places()
        inner = self.triangles[(self.triangles >= len(self.line)).all(1)] - len(self.line)
        flat = np.concatenate([held, self.weights @ held])
        area = doubled_area(flat, inner)
        if area.min() < FLAT * np.median(area):
            flat = unfolded(tracks, flat[len(held) :], inner, self.flat)
        least = lift(opening.flat, flat, self.gap_mm, LIFT_MM / GAP_MM * self.gap_mm)
        height = _heights(flat, least, curves, opening, (len(self.line), *self.counts))
        height = np.concatenate([height, np.maximum(self.weights @ height, least[len(height) :])])
        return flat, self._over_collar(opening, flat, height), opening

    def _over_collar(self, opening: Opening, flat: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Heights (E,), with the nodes within the border raised whose triangles cross the collar.

        Where the border passes from the inside of the rim to its outside the collar is as steep as a wall, and what
        falls from the border to a ring would cut through it. Raised nodes may cut elsewhere at first; the heights with
        the fewest crossing triangles are kept.
        """
        count, height = len(self.line), height.copy()
        rim, best, fewest = np.column_stack([opening.flat, np.zeros(count)]), height, len(self.triangles) ** 2
        for _ in range(MOST_RISES):
            pairs = self_intersections(np.concatenate([rim, np.column_stack([flat, height])]), self.triangles)
            if len(pairs) < fewest:
                best, fewest = height.copy(), len(pairs)
            if not len(pairs):
                break
            corners = np.unique(self.triangles[pairs])
            height[corners[corners >= 2 * count] - count] += RISE * self.gap_mm
        return best

    def _with_rim(self, ring: ValveRing, opening: Opening) -> np.ndarray:
        """(P, 3) a ring at rest, moved as the rim is: by the affine map of the plane that fits it best."""
        design = np.column_stack([self.opening.flat, np.ones(len(self.line))])
        change = np.linalg.lstsq(design, opening.flat, rcond=None)[0]
        flat = np.column_stack([self.opening.to_plane(ring.points), np.ones(len(ring.points))]) @ change
        height = (ring.points - self.opening.origin) @ self.opening.axes[:, 2]
        return opening.to_lps(flat) + height[:, None] * opening.axes[:, 2]


def plain_lid(opening: Opening, triangles: np.ndarray, face: int) -> Lid:
    """A lid of the rim's nodes alone; triangles (F, 3) are of places in the opening's line."""
    return Lid(
        line=opening.line,
        opening=opening,
        rings=(),
        counts=(),
        gap_mm=GAP_MM,
        weights=np.zeros((0, 0)),
        flat=np.zeros((0, 2)),
        triangles=triangles,
        faces=np.full(len(triangles), face, np.int32),
    )


def lid_with_caps(opening: Opening, rings: Sequence[ValveRing], rest: int, size: float = 1.0) -> Lid:
    """The lid of an opening.

    Args:
        rings: of the valves in it; the first ones go before the others where they overlap.
        rest: id of the triangles of no valve.
        size: length of this heart over that of a human one.

    Raises:
        ValueError: the opening could not be triangulated with these rings.
    """
    gap, count = GAP_MM * size, len(opening.line)
    lines = _lines(opening, [ring.points for ring in rings], gap)
    pairs = [(ring, line) for ring, line in zip(rings, lines.valves, strict=True) if line is not None]
    kept, drawn = tuple(ring for ring, _ in pairs), tuple(line for _, line in pairs)
    spacing = opening.spacing_mm
    counts = tuple(max(round(_length(line) / spacing), LEAST_LINE) for line in drawn)
    shown = Outlines(lines.border, lines.beside, drawn)
    held = _tracks(shown, [ring.points for ring in kept], opening, counts).places()
    loops = np.split(np.arange(count, len(held)), np.cumsum(counts)[:-1]) if kept else []
    edges = np.concatenate([_sides(loop) for loop in (np.arange(count), *loops)])
    points, inner = _between(held, np.concatenate([held, _grid(held, edges, count, spacing)]), edges, count)
    faces = np.full(len(inner), rest, np.int32)
    middles = points[inner].mean(1)
    for ring, loop in zip(kept, loops, strict=True):
        faces[within(points[loop], middles)] = VALVE_PATCHES[ring.name]
    rim, after = np.arange(count), np.roll(np.arange(count), -1)
    collar = np.concatenate(
        [np.stack([rim, after, count + after], axis=1), np.stack([rim, count + after, count + rim], axis=1)]
    )
    return Lid(
        line=opening.line,
        opening=opening,
        rings=kept,
        counts=counts,
        gap_mm=gap,
        weights=_harmonic(points, inner, len(held)),
        flat=points,
        triangles=np.concatenate([collar, count + inner]),
        faces=np.concatenate([np.full(len(collar), rest, np.int32), faces]),
    )


def _lines(opening: Opening, curves: Sequence[np.ndarray], gap: float) -> Outlines:
    return outlines(opening.flat, [opening.to_plane(points) for points in curves], gap)


def _tracks(lines: Outlines, curves: Sequence[np.ndarray], opening: Opening, counts: Sequence[int]) -> Tracks:
    """Nodes of the border, then those of the valves' lines, each from the first point of its ring on."""
    drawn = [line for line in lines.valves if line is not None]
    along = [
        evenly(line, count, opening.to_plane(points[:1])[0])
        for line, points, count in zip(drawn, curves, counts, strict=True)
    ]
    return Tracks([lines.border, *drawn], [lines.beside, *along])


def _heights(
    flat: np.ndarray, least: np.ndarray, curves: Sequence[np.ndarray], opening: Opening, counts: Sequence[int]
) -> np.ndarray:
    """(H,) of border and lines over the base plane: those of the rings, nowhere less than ``least``.

    Args:
        flat: (P, 2) places. least: (P,) heights.
        counts: nodes of the border, then of each line.
    """
    height, start = least[: sum(counts)].copy(), counts[0]
    for points, count in zip(curves, counts[1:], strict=True):
        own, ring = slice(start, start + count), opening.to_plane(points)
        nearest = to_segments(ring, np.roll(ring, -1, axis=0), flat[own])[1]
        height[own] = np.maximum(height[own], ((points - opening.origin) @ opening.axes[:, 2])[nearest])
        start += count
    return height


def _sides(loop: np.ndarray) -> np.ndarray:
    """(S, 2) edges of a closed line of nodes."""
    return np.stack([loop, np.roll(loop, -1)], axis=1)


def _length(curve: np.ndarray) -> float:
    return float(np.linalg.norm(curve - np.roll(curve, 1, axis=0), axis=1).sum())


def _grid(points: np.ndarray, edges: np.ndarray, n_border: int, step: float) -> np.ndarray:
    """(G, 2) nodes of a triangular grid within the border, clear of every line."""
    low, high = points.min(0), points.max(0)
    rows = np.arange(low[1], high[1], step * np.sqrt(0.75))
    columns = np.arange(low[0], high[0] + step, step)
    x = columns[None] + 0.5 * step * (np.arange(len(rows)) % 2)[:, None]
    found = np.stack([x, np.broadcast_to(rows[:, None], x.shape)], axis=-1).reshape(-1, 2)
    found = found[within(points[:n_border], found)]
    return found[to_segments(points[edges[:, 0]], points[edges[:, 1]], found)[0] > CLEAR * step]


def _between(held: np.ndarray, points: np.ndarray, edges: np.ndarray, n_border: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 2) and triangles (F, 3), with a free node on every side that joined two nodes of lines.

    Else a triangle of such nodes alone could not give way when the lines move.
    """
    lines = {tuple(sorted(edge)) for edge in edges.tolist()}
    for _ in range(MOST_SPLITS):
        triangles = _triangulated(points, n_border, {tuple(edge) for edge in edges.tolist()})
        sides = edge_counts(triangles)[0]
        chords = [side for side in sides[(sides < len(held)).all(1)].tolist() if tuple(sorted(side)) not in lines]
        if not chords:
            break
        points = np.concatenate([points, points[np.array(chords)].mean(1)])
    return points, triangles


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
