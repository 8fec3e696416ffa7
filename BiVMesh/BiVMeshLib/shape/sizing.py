"""The size of the tetrahedra where none is asked for: finer for a thin wall.

One size for the whole mesh. Most tetrahedra of a thin wall touch its surface, and those are the less regular ones.
"""

from dataclasses import dataclass

import numpy as np

from CardiacLib.types.mesh_options import EDGE_MM, MeshOptions

from .heart_shape import Shape

LEAST_MM = 1.2
"""Least edge that is chosen: a third of the volume of EDGE_MM."""
ACROSS = 2.5
"""Edges that the mean wall shall hold: from there on the mean scaled Jacobian is 0.785 or more (0.76 with 2)."""


def edge_for(shape: Shape) -> tuple[float, float]:
    """Mean edge of the tetrahedra for a shape, and the mean thickness of its wall, mm."""
    thickness = mean_thickness(shape)
    return float(np.clip(thickness / ACROSS, LEAST_MM, EDGE_MM)), thickness


COARSER = 4.0 / 3.0
"""Times the edge that is chosen for a heart: longer ones are had by collapsing edges of a finer lattice."""
COARSEST_MM = 3.3
"""Longest mean edge of a lattice from which edges are collapsed: the RV's wall is as thin as that in every heart."""
FINER = 1.08
"""Wanted edge over that of a lattice between the finest and the coarsest that edges are collapsed from: some collapses
rid the RV's thin wall of its flat tets."""
LONGEST = 1.8
"""Longest edge that a collapse may make over the wanted mean edge."""
MORE = 1.1
"""Times the wanted number of tets from which a lattice's mesh is made coarser."""
ENOUGH = 1.2
"""Times the wanted number of tets that pass without a note."""
TETS_MM = 9.0
"""Tets of a mesh times the cubed mean edge over the muscle's volume, measured: 8.8 at 1.8 mm, 9.7 at 2.4 mm."""


@dataclass(frozen=True)
class Sizing:
    """How big the tetrahedra become.

    Attributes:
        lattice_mm: mean edge of the lattice's tets.
        edge_mm: wanted mean edge, longer than the lattice's where edges are to be collapsed.
        thickness_mm: of the wall on average.
        tets: wanted number; None where only an edge length was given.
    """

    lattice_mm: float
    edge_mm: float
    thickness_mm: float
    tets: int | None = None

    @property
    def collapses(self) -> bool:
        return self.edge_mm > self.lattice_mm

    @property
    def coarse(self) -> bool:
        """Whether triangles are so large that they cut the corners of a cavity."""
        return self.edge_mm > COARSER * EDGE_MM

    @property
    def longest_mm(self) -> float:
        """No collapse makes a longer edge."""
        return LONGEST * self.edge_mm

    def refined(self, factor: float) -> "Sizing":
        """The same on a finer lattice; what is wanted stays where edges are collapsed, and where it is a number."""
        wanted = self.edge_mm if self.collapses or self.tets else self.edge_mm * factor
        return Sizing(self.lattice_mm * factor, wanted, self.thickness_mm, self.tets)

    def too_many(self, of_lattice: int) -> bool:
        """Whether a lattice of so many tets is to be made coarser."""
        return self.collapses or (self.tets is not None and of_lattice > MORE * self.tets)

    def tets_wanted(self, of_lattice: int) -> int:
        """Number at which collapsing ends; ``of_lattice``: that before."""
        return self.tets or round(of_lattice * (self.lattice_mm / self.edge_mm) ** 3)

    def left_over(self, tets: int) -> tuple[str, ...]:
        """A note where a mesh has clearly more tets than were asked for."""
        if self.tets is None or tets < ENOUGH * self.tets:
            return ()
        return (
            f"{self.tets} tetrahedra were asked for; {tets} is about the smallest number that keeps two well-shaped "
            "elements across this wall.",
        )


def sizing_for(shape: Shape, options: MeshOptions) -> Sizing:
    """Sizes, at human size, for the edge length or the number of tets that the options ask for, else for the wall.

    A mesh that is not optimised is made on the lattice that is asked for, however coarse.
    """
    own, thickness = edge_for(shape)
    wanted = own if options.edge_length_mm is None else options.edge_length_mm / options.shrink
    if options.tets is not None:
        wanted = float(np.cbrt(TETS_MM * muscle_volume(shape) / options.tets))
    finest = own * COARSER
    coarsest = float(np.clip(thickness / ACROSS * COARSER, finest, COARSEST_MM))
    collapses = wanted > finest and options.optimise and options.mesher == "stuffing"
    lattice = float(np.clip(wanted / FINER, finest, coarsest)) if collapses else wanted
    return Sizing(lattice, wanted, thickness, options.tets)


def muscle_volume(shape: Shape) -> float:
    """mm^3 of the myocardium under the base."""
    field = shape.myocardium()
    h = field.spacing
    under = field.values[field.origin[2] + h * np.arange(len(field.values)) < 0]
    return float(np.clip(0.5 - under / h, 0.0, 1.0).sum()) * h**3


def mean_thickness(shape: Shape) -> float:
    """Mean thickness of the myocardium in mm: twice its volume over the area of its walls, both under the base.

    The area is the volume within one voxel of the surface over that layer's thickness.
    """
    field = shape.myocardium()
    h = field.spacing
    under = field.values[field.origin[2] + h * np.arange(len(field.values)) < 0]
    volume = muscle_volume(shape)
    area = int((np.abs(under) < h).sum()) * h**2 / 2.0
    return 2.0 * volume / area
