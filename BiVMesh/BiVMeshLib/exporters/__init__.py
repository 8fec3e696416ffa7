"""Writers of a BiVMesh, one per format. Frame LPS, mm (openCARP: micrometres); where the format can, the file says so.

Fields of the mesh (fibres, coordinates) are written wherever the format has a place for them. Docs/formats.md lists the
files of each format and the solver that reads them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import BiVMesh

from .abaqus import write_inp
from .carp import write_carp
from .febio import write_feb
from .gmsh import write_msh
from .motion import write_motion, write_moving_pools
from .simvascular import write_simvascular
from .surfaces import write_obj, write_ply, write_pools, write_stl
from .vtk import write_quality, write_rings, write_vtp, write_vtu
from .xdmf import write_xdmf

__all__ = [
    "DEFAULT_FORMATS",
    "FORMATS",
    "choose_formats",
    "export",
    "write_motion",
    "write_moving_pools",
    "write_quality",
    "write_rings",
    "write_vtp",
    "write_vtu",
]

Writer = Callable[[BiVMesh, Path], None]
FORMATS: dict[str, Writer] = {
    "vtu": lambda mesh, folder: write_vtu(mesh, folder / "mesh.vtu"),
    "vtp": lambda mesh, folder: write_vtp(mesh, folder / "surface.vtp"),
    "simvascular": write_simvascular,
    "msh": write_msh,
    "xdmf": write_xdmf,
    "carp": write_carp,
    "feb": write_feb,
    "inp": write_inp,
    "stl": write_stl,
    "ply": write_ply,
    "obj": write_obj,
    "pools": write_pools,
}
"""Writer of each format: puts the format's files, whose names are fixed, into a folder that has none of them yet."""
DEFAULT_FORMATS = ("vtu", "vtp")


def choose_formats(text: str) -> tuple[str, ...]:
    """The formats named in ``text``, separated by commas, each once; InputError for one that is not in FORMATS."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise InputError(f"Unknown mesh format {', '.join(map(repr, unknown))}: choose from {', '.join(FORMATS)}.")
    return names


def export(mesh: BiVMesh, folder: Path, formats: Sequence[str] = DEFAULT_FORMATS) -> None:
    """Write the mesh in each of ``formats`` into ``folder``, which ``atomic_directory`` of the caller makes atomic.

    Example:
        >>> import numpy as np
        >>> nodes, tets = np.vstack([np.zeros(3), np.eye(3)]), np.array([[0, 1, 2, 3]])
        >>> faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
        >>> mesh = BiVMesh(nodes, tets, np.array([11], np.int32), faces, np.array([1, 1, 1, 4], np.int32))
        >>> export(mesh, Path("."), ["msh", "xdmf"])
        >>> sorted(path.name for path in Path(".").iterdir())
        ['facets.xdmf', 'markers.json', 'mesh.msh', 'mesh.xdmf']
    """
    for name in choose_formats(",".join(formats)):
        FORMATS[name](mesh, folder)
