"""What was measured of a mesh and of its motion, as values; ``to_dict`` is what ``quality.json`` says."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from CardiacLib.species import species_named

from .mesh_criteria import EULER, Line, Measures, missed_lines, quality_lines
from .values import job_value

Part = TypeVar("Part")


@job_value
@dataclass(frozen=True)
class MeshTopology:
    """Whether surface and elements hang together as those of a heart do.

    Attributes:
        open_edges, nonmanifold_edges, nonmanifold_vertices: where the boundary is not a closed 2-manifold.
        self_intersections: pairs of boundary triangles that cross.
        components, euler: of the boundary.
        patch_euler, patch_components, patch_triangles: by the name of each patch that the mesh has.
        region_tets: by the name of each region.
        nodes_on_two_walls: nodes that two of EPI, ENDO_LV, ENDO_RV share.
        unused_nodes: nodes without a tet.
        zero_gradient_tets: tets with all four corners on one patch.
        epi_to_endo_rv_edges: edges across the RV wall, which is one element thick there.
    """

    open_edges: int
    nonmanifold_edges: int
    nonmanifold_vertices: int
    self_intersections: int
    components: int
    euler: int
    patch_euler: Mapping[str, int]
    patch_components: Mapping[str, int]
    patch_triangles: Mapping[str, int]
    region_tets: Mapping[str, int]
    nodes_on_two_walls: int
    unused_nodes: int
    zero_gradient_tets: int
    epi_to_endo_rv_edges: int


@job_value
@dataclass(frozen=True)
class MeshShape:
    """Shape and size of the elements: angles in degrees, edges in mm, scaled Jacobian as in Verdict."""

    inverted_tets: int
    min_dihedral_deg: float
    max_dihedral_deg: float
    tets_below_10_deg: int
    scaled_jacobian_min: float
    scaled_jacobian_p1: float
    scaled_jacobian_p5: float
    scaled_jacobian_mean: float
    edge_mm_mean: float
    edge_mm_min: float
    edge_mm_max: float


@job_value
@dataclass(frozen=True)
class MeshVolumes:
    """Volumes in ml, those of the pools up to the base; None for a pool that the mesh has not.

    ``base_flatness_mm``: largest distance of a node of the base from its plane.
    """

    base_flatness_mm: float
    myocardium_ml: float
    lv_myocardium_ml: float
    rv_wall_ml: float
    lv_pool_ml: float | None = None
    rv_pool_ml: float | None = None


@job_value
@dataclass(frozen=True)
class MeshMaking:
    """How a mesh was made: edge length asked for, lattice points at which the topology was repaired, seed, mesher,
    species (the limits of distances are a human heart's and shrink with it), whether slices were
    moved back into line."""

    edge_length_mm: float
    repaired_lattice_points: int
    seed: int
    mesher: str
    species: str = "human"
    aligned_slices: bool = False


@job_value
@dataclass(frozen=True)
class Distances:
    """Mean, 95th percentile and maximum in mm."""

    mean: float
    p95: float
    max: float


@job_value
@dataclass(frozen=True)
class MeshFidelity:
    """How true a mesh is to its labels.

    Attributes:
        label_ml: volumes of the labels under the base plane by structure, each slice a slab of the slice distance.
        volume_error_percent: of the mesh against them.
        contour_distance_mm: between surface and label contours, of ``all`` and per surface.
    """

    label_ml: Mapping[str, float]
    volume_error_percent: Mapping[str, float]
    contour_distance_mm: Mapping[str, Distances]


VALVE_POINTS, LABELS = "valve points", "labels"
"""What gave the base."""


@job_value
@dataclass(frozen=True)
class MeshBase:
    """Where the base comes from; of valve points how many, their distance from the plane (rms), tilt to the slices."""

    base_from: str = LABELS
    base_points: int | None = None
    base_points_rms_mm: float | None = None
    base_tilt_deg: float | None = None


@job_value
@dataclass(frozen=True)
class MeshFibres:
    """Largest deviation of a tet's three directions from an orthonormal frame, and how many frames were repaired."""

    fibre_orthonormality_error: float
    repaired_fibre_frames: int


@job_value
@dataclass(frozen=True)
class MeshQuality:
    """The quality report of a mesh; of a mesh that was not built from labels the last four are None.

    Attributes:
        nodes, tets, triangles: how many.
    """

    nodes: int
    tets: int
    triangles: int
    topology: MeshTopology
    shape: MeshShape
    volumes: MeshVolumes
    made: MeshMaking | None = None
    fidelity: MeshFidelity | None = None
    base: MeshBase | None = None
    fibres: MeshFibres | None = None

    def smaller(self, factor: float) -> "MeshQuality":
        """The report of the same mesh with every length times ``factor``; MeshMaking stays."""
        shape, volumes, fidelity = self.shape, self.volumes, self.fidelity
        lengths = {n: getattr(shape, n) * factor for n in ("edge_mm_mean", "edge_mm_min", "edge_mm_max")}
        ml = {f.name: getattr(volumes, f.name) for f in fields(volumes) if f.name.endswith("_ml")}
        smaller_ml: dict[str, Any] = {n: None if v is None else v * factor**3 for n, v in ml.items()}
        if fidelity is not None:
            found = {
                name: Distances(d.mean * factor, d.p95 * factor, d.max * factor)
                for name, d in fidelity.contour_distance_mm.items()
            }
            label_ml = {name: v * factor**3 for name, v in fidelity.label_ml.items()}
            fidelity = replace(fidelity, label_ml=label_ml, contour_distance_mm=found)
        base = self.base
        if base is not None and base.base_points_rms_mm is not None:
            base = replace(base, base_points_rms_mm=base.base_points_rms_mm * factor)
        return replace(
            self,
            shape=replace(shape, **lengths),
            volumes=replace(volumes, base_flatness_mm=volumes.base_flatness_mm * factor, **smaller_ml),
            fidelity=fidelity,
            base=base,
        )

    @property
    def at_valves(self) -> bool:
        """The base is the plane of valve points."""
        return self.base is not None and self.base.base_from == VALVE_POINTS

    def measures(self) -> Measures:
        """What CRITERIA judge, by flat name: topology, element shape, volume errors, distances to contours."""
        topology, shape = self.topology, self.shape
        flat: dict[str, float | int | None] = {"components": topology.components, "euler": topology.euler}
        flat |= {name: topology.patch_euler.get(patch) for patch, name in EULER.items()}
        flat |= {
            "patch_components_max": max(topology.patch_components.values()),
            "open_edges": topology.open_edges,
            "nonmanifold_edges": topology.nonmanifold_edges,
            "nonmanifold_vertices": topology.nonmanifold_vertices,
            "self_intersections": topology.self_intersections,
            "inverted_tets": shape.inverted_tets,
            "zero_gradient_tets": topology.zero_gradient_tets,
            "nodes_on_two_walls": topology.nodes_on_two_walls,
            "unused_nodes": topology.unused_nodes,
            "min_dihedral_deg": shape.min_dihedral_deg,
            "max_dihedral_deg": shape.max_dihedral_deg,
            "scaled_jacobian_min": shape.scaled_jacobian_min,
            "scaled_jacobian_p1": shape.scaled_jacobian_p1,
            "scaled_jacobian_mean": shape.scaled_jacobian_mean,
        }
        if self.fidelity is None:
            return flat
        flat |= {f"{name}_error_percent": error for name, error in self.fidelity.volume_error_percent.items()}
        distance = self.fidelity.contour_distance_mm["all"]
        return flat | {"distance_mean_mm": distance.mean, "distance_p95_mm": distance.p95}

    def lines(self) -> dict[str, Line]:
        """How each measure stands to its limit, by its name."""
        shrink = 1.0 if self.made is None else 1.0 / species_named(self.made.species).body_scale
        return quality_lines(self.measures(), shrink)

    def missed(self) -> list[str]:
        """Names of the measures that miss their limit."""
        return missed_lines(self.lines())

    def to_dict(self) -> dict[str, Any]:
        """The report as in ``quality.json``: flat, without what the mesh has not."""
        document: dict[str, Any] = {"nodes": self.nodes, "tets": self.tets, "triangles": self.triangles}
        document |= _entries(self.topology) | _entries(self.shape) | _entries(self.volumes) | _entries(self.made)
        if self.fidelity is not None:
            document |= {f"label_{name}_ml": volume for name, volume in self.fidelity.label_ml.items()}
            document["volume_error_percent"] = dict(self.fidelity.volume_error_percent)
            found = self.fidelity.contour_distance_mm
            document["contour_distance_mm"] = {name: _entries(distances) for name, distances in found.items()}
        lines = self.lines()
        document["lines"] = {name: _entries(line) for name, line in lines.items()}
        document["missed_lines"] = missed_lines(lines)
        return document | _entries(self.base) | _entries(self.fibres)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "MeshQuality":
        """What :meth:`to_dict` gave; other entries are ignored.

        Raises:
            KeyError: an entry is missing.
        """
        fidelity = None
        if "volume_error_percent" in document:
            errors, distances = document["volume_error_percent"], document["contour_distance_mm"]
            fidelity = MeshFidelity(
                label_ml={name: document[f"label_{name}_ml"] for name in errors},
                volume_error_percent=errors,
                contour_distance_mm={name: Distances(**values) for name, values in distances.items()},
            )
        return cls(
            nodes=document["nodes"],
            tets=document["tets"],
            triangles=document["triangles"],
            topology=_part(MeshTopology, document),
            shape=_part(MeshShape, document),
            volumes=_part(MeshVolumes, document),
            made=_part(MeshMaking, document) if "mesher" in document else None,
            fidelity=fidelity,
            base=_part(MeshBase, document) if "base_from" in document else None,
            fibres=_part(MeshFibres, document) if "repaired_fibre_frames" in document else None,
        )


def _entries(part: object | None) -> dict[str, Any]:
    """The fields of a part that have a value, mappings as plain dicts."""
    if part is None:
        return {}
    values = {field.name: getattr(part, field.name) for field in fields(part)}  # type: ignore[arg-type]
    return {n: dict(v) if isinstance(v, Mapping) else v for n, v in values.items() if v is not None}


def _part(kind: type[Part], document: Mapping[str, Any]) -> Part:
    """A part from its entries of a report; those with a default may be missing."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: document[name] for name in names if name in document})


@job_value
@dataclass(frozen=True)
class FrameQuality:
    """A moving mesh in one frame.

    Attributes:
        shape, volumes: of the mesh there.
        self_intersections: pairs of boundary triangles that cross.
        label_ml: volumes of the frame's labels under the base plane by structure; empty where they cannot be used.
        surface_distance_mm: mean distance of the walls' nodes from their surfaces before the fit over the cycle; None
            in the mesh's own frame and without labels.
    """

    shape: MeshShape
    volumes: MeshVolumes
    self_intersections: int
    label_ml: Mapping[str, float]
    surface_distance_mm: float | None = None


SHAPE_CURVES = ("scaled_jacobian_min", "scaled_jacobian_p1", "scaled_jacobian_mean", "min_dihedral_deg")
VOLUME_CURVES = ("myocardium_ml", "lv_pool_ml", "lv_myocardium_ml", "rv_pool_ml")
"""What the report gives of the shape and volumes of every frame."""


@job_value
@dataclass(frozen=True)
class MotionQuality:
    """The report on a mesh that moves.

    Attributes:
        frame: that the mesh was made of, counted from 0.
        times_ms: of the frames; None where the files give no time.
        base_from: VALVE_POINTS or LABELS, what moved the base. base_height_mm: along the slice normal, by frame.
        unused_frames: whose labels could not be used.
        frames: one for each.
        label_whole_ml: volumes of the labels in every frame, not only under the base, by structure.
        seconds: wall time by step.
    """

    frame: int
    times_ms: tuple[float, ...] | None
    base_from: str
    base_height_mm: tuple[float, ...]
    unused_frames: tuple[int, ...]
    frames: tuple[FrameQuality, ...]
    label_whole_ml: Mapping[str, tuple[float, ...]]
    seconds: Mapping[str, float]

    def curves(self) -> dict[str, list[float | int | None]]:
        """By name one number for each frame, None where there is none: quality, volumes, volumes of the labels."""
        found: dict[str, list[float | int | None]] = {
            "inverted_tets": [f.shape.inverted_tets for f in self.frames],
            "self_intersections": [f.self_intersections for f in self.frames],
        }
        found |= {name: [getattr(f.shape, name) for f in self.frames] for name in SHAPE_CURVES}
        found |= {name: [getattr(f.volumes, name) for f in self.frames] for name in VOLUME_CURVES}
        labels = dict.fromkeys(name for f in self.frames for name in f.label_ml)
        found |= {f"label_{name}_ml": [f.label_ml.get(name) for f in self.frames] for name in labels}
        return {name: values for name, values in found.items() if any(v is not None for v in values)}

    def to_dict(self) -> dict[str, Any]:
        """What ``quality.json`` has under ``motion``."""
        return {
            "frame_index": self.frame,
            "times_ms": None if self.times_ms is None else list(self.times_ms),
            "base_from": self.base_from,
            "base_height_mm": list(self.base_height_mm),
            "unused_frame_indices": list(self.unused_frames),
            "surface_distance_mm": [f.surface_distance_mm for f in self.frames],
            **self.curves(),
            **{f"label_{name}_whole_ml": list(values) for name, values in self.label_whole_ml.items()},
            "seconds": dict(self.seconds),
        }
