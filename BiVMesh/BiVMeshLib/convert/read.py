"""A mesh of any format that CineHeart writes whole."""

from collections.abc import Callable
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import BiVMesh

from .parts import Found
from .solver_text import read_carp, read_feb, read_inp
from .with_meshio import read_msh, read_vtu, read_xdmf

READABLE: dict[str, Callable[[Path], Found]] = {
    ".vtu": read_vtu,
    ".msh": read_msh,
    ".xdmf": read_xdmf,
    ".inp": read_inp,
    ".feb": read_feb,
    ".pts": read_carp,
    ".elem": read_carp,
}
"""Reader by suffix. Surface formats hold no tetrahedra and are written only."""
PREFERRED = ("mesh.vtu", "mesh/mesh.vtu", "mesh.msh", "mesh.xdmf", "mesh.feb", "mesh.inp", "carp/mesh.pts")
"""Where in a folder of results the mesh is looked for."""


def read_mesh(path: str | Path) -> BiVMesh:
    """Read a mesh that CineHeart wrote, in whatever units and frame, as one in LPS mm.

    Args:
        path: ``.vtu``, ``.msh``, ``.xdmf``, ``.inp``, ``.feb``, ``.pts`` or ``.elem``, or a folder of results.

    Returns:
        the mesh with all fields that the format holds: openCARP, FEBio and Abaqus know fibres only.

    Raises:
        InputError: there is no such file, it cannot be read, or it is no heart with regions and patches.
    """
    path = Path(path)
    if path.is_dir():
        path = next((path / name for name in PREFERRED if (path / name).is_file()), path)
    if not path.is_file():
        missing = f"has none of {', '.join(PREFERRED)}" if path.is_dir() else "there is no such file"
        raise InputError(f"{path}: {missing}; give a mesh that 'cineheart mesh' wrote.")
    if path.suffix.lower() not in READABLE:
        raise InputError(f"{path}: is no mesh of a known format; give one of {', '.join(READABLE)}.")
    return READABLE[path.suffix.lower()](path).mesh(path)
