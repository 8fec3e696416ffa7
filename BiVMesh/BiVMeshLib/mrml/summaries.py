"""A mesh in words, as the panel shows it."""

from collections.abc import Callable

from CardiacLib.types.bivmesh import BiVMesh, MovingMesh


def mesh_text(found: BiVMesh | MovingMesh, translate: Callable[[str], str]) -> str:
    """Size of a mesh, and what the mesher repaired or assumed, one line each."""
    mesh = found.mesh if isinstance(found, MovingMesh) else found
    size = translate("{tets} tetrahedra, {nodes} nodes, {triangles} surface triangles.").format(
        tets=len(mesh.tets), nodes=len(mesh.nodes), triangles=len(mesh.triangles)
    )
    return "\n".join(dict.fromkeys([size, *mesh.notes, *found.notes]))
