"""The boundary patches and the fibres of a mesh as glTF 2.0, written by VTK without a display."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from CardiacLib.types.bivmesh import ALL_PATCH_RGB, ALL_PATCHES
from cineheart.report.mesh_view import heart_frame

if TYPE_CHECKING:
    from CardiacLib.types.bivmesh import BiVMesh

FIBRES = "FIBRES"
"""Name of the lines, beside those of the patches."""
FIBRE_MM = 3.0
MOST_FIBRES = 6000
"""Every n-th tetrahedron has one."""
MOST_TRIANGLES = 60_000
"""A finer surface is not embedded: the page would be too large."""


def mesh_gltf(mesh: BiVMesh) -> str:
    """glTF (JSON with its buffers inside) of one object per patch and, where the mesh has them, its fibres.

    Millimetres, from the middle of the heart, in the axes of :func:`heart_frame`: x right, y up, z towards the viewer.
    Fibres are coloured by direction: red, green and blue are the parts along x, y and z. Empty for a mesh of more than
    MOST_TRIANGLES triangles, and where VTK is not installed: the page then says so.
    """
    if importlib.util.find_spec("vtkmodules") is None:
        return ""
    from vtkmodules.vtkIOExport import vtkGLTFExporter
    from vtkmodules.vtkRenderingCore import vtkRenderer
    from vtkmodules.vtkRenderingOpenGL2 import vtkGenericOpenGLRenderWindow

    if len(mesh.triangles) > MOST_TRIANGLES:
        return ""
    right, front, up = heart_frame(mesh)
    axes = np.column_stack([right, up, front])
    nodes = (mesh.nodes - (mesh.nodes.max(0) + mesh.nodes.min(0)) / 2) @ axes
    renderer, window = vtkRenderer(), vtkGenericOpenGLRenderWindow()  # holds the actors; nothing is rendered
    window.AddRenderer(renderer)
    for name, number in ALL_PATCHES.items():
        triangles = mesh.triangles[mesh.patches == number]
        if len(triangles):
            renderer.AddActor(_actor(name, _surface(nodes, triangles), ALL_PATCH_RGB[name]))
    if "fibre" in mesh.cell_fields:
        renderer.AddActor(_actor(FIBRES, _fibres(mesh, nodes, axes)))
    with tempfile.TemporaryDirectory(prefix="cineheart-gltf-") as folder:
        path = Path(folder) / "heart.gltf"
        exporter = vtkGLTFExporter()
        exporter.SetRenderWindow(window)
        exporter.InlineDataOn()
        exporter.SetFileName(str(path))
        exporter.Write()
        return path.read_text(encoding="utf-8").replace("<", "\\u003c")


def _actor(name: str, data, rgb: tuple[float, float, float] | None = None):
    """An actor of one colour, or of the colours of the points."""
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    mapper, actor = vtkPolyDataMapper(), vtkActor()
    mapper.SetInputData(data)
    actor.SetMapper(mapper)
    actor.SetObjectName(name)
    if rgb is None:
        mapper.SetColorModeToDirectScalars()
    else:
        mapper.ScalarVisibilityOff()
        actor.GetProperty().SetColor(*rgb)
    return actor


def _surface(nodes: np.ndarray, triangles: np.ndarray):
    used, corners = np.unique(triangles, return_inverse=True)
    data = _poly_data(nodes[used])
    data.SetPolys(_cells(corners.reshape(-1, 3)))
    return data


def _fibres(mesh: BiVMesh, nodes: np.ndarray, axes: np.ndarray):
    from vtkmodules.util.numpy_support import numpy_to_vtk

    chosen = np.arange(0, len(mesh.tets), max(1, -(-len(mesh.tets) // MOST_FIBRES)))
    along = mesh.cell_fields["fibre"][chosen] @ axes
    centres = nodes[mesh.tets[chosen]].mean(1)
    data = _poly_data(np.concatenate([centres - 0.5 * FIBRE_MM * along, centres + 0.5 * FIBRE_MM * along]))
    data.SetLines(_cells(np.stack([np.arange(len(chosen)), np.arange(len(chosen)) + len(chosen)], 1)))
    colours = np.rint(255 * np.abs(along)).astype(np.uint8)
    data.GetPointData().SetScalars(numpy_to_vtk(np.concatenate([colours, colours]), deep=1))
    return data


def _poly_data(points: np.ndarray):
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    data, places = vtkPolyData(), vtkPoints()
    places.SetData(numpy_to_vtk(np.ascontiguousarray(points, np.float32), deep=1))
    data.SetPoints(places)
    return data


def _cells(corners: np.ndarray):
    from vtkmodules.util.numpy_support import numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonDataModel import vtkCellArray

    cells = vtkCellArray()
    cells.SetData(corners.shape[1], numpy_to_vtkIdTypeArray(np.ascontiguousarray(corners.ravel(), np.int64), deep=1))
    return cells
