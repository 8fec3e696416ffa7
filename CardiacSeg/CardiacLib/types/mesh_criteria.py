"""What is asked of a mesh, in one table: the gate, the lines of its report and the columns of tables come from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .values import job_value

Measures = Mapping[str, float | int | None]
"""Measures of a mesh by flat name; None for what it has not."""
EULER = {"EPI": "euler_epi", "ENDO_LV": "euler_endo_lv", "ENDO_RV": "euler_endo_rv", "BASE": "euler_base"}
"""Measure of each patch's Euler number."""


@job_value
@dataclass(frozen=True)
class Line:
    """How one measure stands to its limit.

    Attributes:
        value: of the measure.
        limit: in words, as ``>= 18``.
        met: whether the mesh keeps it.
    """

    value: float | int | None
    limit: str
    met: bool

    def __str__(self) -> str:
        """Value and limit: ``0.771 (>= 0.78)``."""
        return f"{self.value:.3g} ({self.limit})" if isinstance(self.value, float) else f"{self.value} ({self.limit})"


@dataclass(frozen=True)
class Criterion:
    """One thing that is asked of a mesh.

    Attributes:
        name: of the measure.
        low, high: least and greatest value; None where there is no such limit, both the same for a count.
        gate: a mesh that misses it is not given away. The others are lines: what misses them is named.
        title: in a report for readers; empty leaves it out there. form: of the value, as for ``str.format``.
    """

    name: str
    low: float | None
    high: float | None
    gate: bool = False
    title: str = ""
    form: str = "{}"

    @property
    def exact(self) -> bool:
        """Only one value will do."""
        return self.low is not None and self.low == self.high

    @property
    def limit(self) -> str:
        """In words: ``2``, ``>= 18``, ``<= 0.6`` or ``-2 to 2``."""
        if self.exact:
            return str(self.low)
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return f">= {self.low:g}" if self.high is None else f"<= {self.high:g}"

    def smaller(self, factor: float) -> "Criterion":
        """The criterion of a heart of another size; only limits of lengths change."""
        if factor == 1.0 or not self.name.endswith("_mm"):
            return self
        low, high = (None if limit is None else limit * factor for limit in (self.low, self.high))
        return replace(self, low=low, high=high)

    def met_by(self, value: float | int | None) -> bool:
        """Whether a value keeps within the limits; one that the mesh has not does not."""
        if value is None:
            return False
        return bool((self.low is None or value >= self.low) and (self.high is None or value <= self.high))

    def miss(self, value: float | int | None) -> str | None:
        """In words how a value misses the criterion, None if it does not."""
        if self.met_by(value):
            return None
        if self.exact or value is None:
            return f"{self.name} is {value} instead of {self.limit}"
        if self.low is not None and value < self.low:
            return f"{self.name} is {value:.3g}, below {self.low:g}"
        return f"{self.name} is {value:.3g}, above {self.high:g}"


def _exact(name: str, value: int, title: str = "") -> Criterion:
    return Criterion(name, value, value, gate=True, title=title)


MIN_DIHEDRAL_DEG, MIN_SCALED_JACOBIAN = 18.0, 0.30
"""The gate for element shape, which :class:`~CardiacLib.types.mesh_options.MeshOptions` may set otherwise."""
DEGREES, DIGITS = "{:.1f}\N{DEGREE SIGN}", "{:.3f}"
CRITERIA = (
    _exact("open_edges", 0, "Open edges"),
    _exact("nonmanifold_edges", 0, "Non-manifold edges"),
    _exact("nonmanifold_vertices", 0, "Non-manifold vertices"),
    _exact("self_intersections", 0),
    _exact("inverted_tets", 0, "Inverted tetrahedra"),
    _exact("zero_gradient_tets", 0),
    _exact("nodes_on_two_walls", 0),
    _exact("unused_nodes", 0),
    _exact("components", 1, "Connected parts"),
    _exact("euler", 2, "Euler number of the boundary"),
    _exact("patch_components_max", 1),
    _exact("euler_epi", 1),
    _exact("euler_endo_lv", 1),
    _exact("euler_base", -1),
    _exact("euler_endo_rv", 1),
    Criterion("min_dihedral_deg", MIN_DIHEDRAL_DEG, None, gate=True, title="Dihedral angle, smallest", form=DEGREES),
    Criterion("max_dihedral_deg", None, 150.0, title="Dihedral angle, largest", form=DEGREES),
    Criterion(
        "scaled_jacobian_min",
        MIN_SCALED_JACOBIAN,
        None,
        gate=True,
        title="Scaled Jacobian, smallest",
        form=DIGITS,
    ),
    Criterion("scaled_jacobian_p1", 0.40, None),
    Criterion("scaled_jacobian_mean", 0.78, None, title="Scaled Jacobian, mean", form=DIGITS),
    Criterion("lv_pool_error_percent", -2.0, 2.0),
    Criterion("lv_myocardium_error_percent", -2.0, 2.0),
    Criterion("rv_pool_error_percent", -2.0, 2.0),
    Criterion("rv_wall_error_percent", -2.0, 2.0),
    Criterion("distance_mean_mm", None, 0.6),
    Criterion("distance_p95_mm", None, 1.5),
)
"""Everything asked of a mesh of both ventricles, in the order of the report."""
COUNTS = tuple(c.name for c in CRITERIA if c.exact)
"""Measures that have only one right value: the topology is a heart's, no element is bad."""
LIMITS = {c.name: c for c in CRITERIA if not c.exact}
"""The other criteria by name."""
LV_ALONE = {"euler_base": _exact("euler_base", 0), "euler_endo_rv": None}
"""What is asked instead of a mesh without an RV; None: nothing."""


def criteria_for(has_rv: bool, shrink: float = 1.0) -> tuple[Criterion, ...]:
    """Those of CRITERIA for a mesh of both ventricles, or of the LV alone.

    Args:
        has_rv: both ventricles.
        shrink: size of the heart over that of a human one, by which limits of distances are smaller.
    """
    asked: Iterable[Criterion | None] = CRITERIA if has_rv else (LV_ALONE.get(c.name, c) for c in CRITERIA)
    return tuple(c.smaller(shrink) for c in asked if c is not None)


def quality_lines(measures: Measures, shrink: float = 1.0) -> dict[str, Line]:
    """Every line by the name of its measure; limits of what was not measured are left out.

    Args:
        measures: as of :meth:`~CardiacLib.types.mesh_quality.MeshQuality.measures`; other entries are ignored.
        shrink: as of :func:`criteria_for`.
    """
    asked = criteria_for(measures["euler_endo_rv"] is not None, shrink)
    values = {c.name: measures.get(c.name) for c in asked}
    return {
        c.name: Line(values[c.name], c.limit, c.met_by(values[c.name]))
        for c in asked
        if c.exact or values[c.name] is not None
    }


def missed_lines(lines: Mapping[str, Line]) -> list[str]:
    """Names of the measures that miss their line."""
    return [name for name, line in lines.items() if not line.met]
