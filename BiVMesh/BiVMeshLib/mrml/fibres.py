"""Fibres as a model of short lines, coloured by their helix angle."""

import numpy as np

from CardiacLib.mrml.nodes.colours import show_scalar
from CardiacLib.mrml.nodes.frames import cell_array, named_array, points_ras
from CardiacLib.types.bivmesh import BiVMesh

MOST_LINES = 12000
"""More would hide each other; every n-th tetrahedron gets one."""
LENGTH_MM = 2.5
HELIX = "helix_angle_deg"


def add_fibres(mesh: BiVMesh, name: str):
    """A hidden model node of short lines along the fibres, blue (-90 degrees) over white to red (90 degrees).

    Args:
        mesh: with the cell field ``fibre``; without the point field ``transmural`` the lines are of one colour.
        name: of the node.
    """
    import slicer
    import vtk

    chosen = np.arange(0, len(mesh.tets), max(1, -(-len(mesh.tets) // MOST_LINES)))
    centres, half = mesh.nodes[mesh.tets[chosen]].mean(1), 0.5 * LENGTH_MM * mesh.cell_fields["fibre"][chosen]
    lines = vtk.vtkPolyData()
    lines.SetPoints(points_ras(np.concatenate([centres - half, centres + half])))
    count = len(chosen)
    lines.SetLines(cell_array(np.stack([np.arange(count), np.arange(count) + count], 1)))
    model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    if "transmural" in mesh.point_fields:
        lines.GetCellData().AddArray(named_array(HELIX, helix_angle_deg(mesh)[chosen]))
    model.SetAndObserveMesh(lines)
    model.CreateDefaultDisplayNodes()
    display = model.GetDisplayNode()
    display.SetVisibility(False)
    display.SetLineWidth(2)
    display.SetLighting(False)
    if "transmural" in mesh.point_fields:
        show_scalar(display, HELIX, vtk.vtkAssignAttribute.CELL_DATA, (-90.0, 90.0))
    return model


def helix_angle_deg(mesh: BiVMesh) -> np.ndarray:
    """(M,) angle of each tet's fibre to the plane of the base, in degrees.

    Positive where a fibre that runs counter-clockwise, seen from the base, rises towards it. Counter-clockwise is
    across the wall, whose outward direction is the gradient of the coordinate ``transmural``; a fibre along the wall's
    own direction (none there) gets 0.
    """
    up = base_normal(mesh)
    fibre = mesh.cell_fields["fibre"]
    across = np.cross(up, _gradient(mesh, mesh.point_fields["transmural"]))
    sense = np.sign(np.einsum("ij,ij->i", fibre, across))
    return np.degrees(np.arcsin(np.clip(fibre @ up, -1.0, 1.0))) * sense


def base_normal(mesh: BiVMesh) -> np.ndarray:
    """(3,) unit vector, LPS, at right angles to the base, away from the apex."""
    corners = mesh.nodes[mesh.patch("BASE")]
    up = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).sum(0)
    return up / np.linalg.norm(up)


def _gradient(mesh: BiVMesh, values: np.ndarray) -> np.ndarray:
    """(M, 3) gradient, constant in each tet, of nodal values."""
    corners, at = mesh.nodes[mesh.tets], values[mesh.tets]
    return np.linalg.solve(corners[:, 1:] - corners[:, :1], (at[:, 1:] - at[:, :1])[..., None])[..., 0]
