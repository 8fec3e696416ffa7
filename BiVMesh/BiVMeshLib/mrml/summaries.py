"""A mesh in words, as the panel shows it."""

from BiVMeshLib.result import MeshResult
from CardiacLib.mrml.translation import _


def mesh_text(found: MeshResult) -> str:
    """Size of a mesh, and what the mesher repaired or assumed, one line each."""
    mesh = found.mesh
    size = _("{tets} tetrahedra, {nodes} nodes, {triangles} surface triangles.").format(
        tets=len(mesh.tets), nodes=len(mesh.nodes), triangles=len(mesh.triangles)
    )
    return "\n".join(dict.fromkeys([size, *mesh.notes, *(found.moving.notes if found.moving else ())]))
