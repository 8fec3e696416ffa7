"""What is asked of meshing and slice propagation, and what meshing gives."""

from dataclasses import dataclass, replace

from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
from CardiacLib.types.choices import RunsOn
from CardiacLib.types.mesh_options import MeshOptions
from CardiacLib.types.values import job_value

from .propagation import PropagationOptions


@job_value
@dataclass(frozen=True)
class MeshChoice:
    """Which frame becomes a mesh, and how.

    Attributes:
        frame: ``ed``, ``es``, or a number from 0.
        options: of the mesher.
        motion: carry the mesh over all frames.
        base_at_valves: where valve points are given, their plane is the base; else they only guide the motion.
        valve_rings: annuli of the valves as rings, the base split into them and muscle, caps for the cavities.
    """

    frame: str | int = "ed"
    options: MeshOptions = MeshOptions()
    motion: bool = False
    base_at_valves: bool = True
    valve_rings: bool = False


@job_value
@dataclass(frozen=True)
class PropagateChoice:
    """How one slice is carried through the stack.

    Attributes:
        options: start and base slice, evidence, RV wall.
        runs_on: what runs the networks.
    """

    options: PropagationOptions = PropagationOptions()
    runs_on: RunsOn = RunsOn()


@job_value
@dataclass(frozen=True)
class MeshResult:
    """The mesh of one frame, and its motion where that was asked for.

    Attributes:
        mesh: of frame ``frame``.
        frame: counted from 0.
        moving: the mesh over the cycle.
        problem: why there is no motion, or no valve rings, although they were asked for; empty if nothing is missing.
    """

    mesh: BiVMesh
    frame: int
    moving: MovingMesh | None = None
    problem: str = ""

    def missing(self, why: str) -> "MeshResult":
        """The same with one more problem."""
        return replace(self, problem=f"{self.problem} {why}".strip())

    def complete(self) -> "MeshResult":
        """The same; InputError where motion or rings that were asked for are missing."""
        if self.problem:
            raise InputError(self.problem)
        return self
