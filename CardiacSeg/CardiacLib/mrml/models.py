"""Biventricular meshes as model nodes: one surface per named patch, and the tetrahedra."""

import numpy as np

from ..bivmesh import PATCH_RGB, PATCHES, BiVMesh
from .frames import swap_points
from .host import plain_host


def mesh_to_scene(mesh: BiVMesh, name: str) -> dict[str, object]:
    """Put a mesh into the scene (RAS; Slicer writes model files in LPS again).

    Returns:
        model node by patch name, and under ``VOLUME`` the model of the tetrahedra with the cell array ``region``
        (ids of ``REGIONS``), which is hidden at first because the surfaces cover it.
    """
    import slicer

    plain_host()
    models = {}
    for patch in PATCHES:
        if len(mesh.patch(patch)) == 0:
            continue
        model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", f"{name} {patch}")
        model.SetAndObserveMesh(_surface(mesh, patch))
        model.CreateDefaultDisplayNodes()
        display = model.GetDisplayNode()
        display.SetColor(*PATCH_RGB[patch])
        display.SetOpacity(0.35 if patch == "EPI" else 1.0)  # the cavities show through
        display.SetBackfaceCulling(False)
        models[patch] = model
    models["VOLUME"] = _volume_model(mesh, f"{name} tetrahedra")
    return models


def _volume_model(mesh: BiVMesh, name: str):
    import slicer

    model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    model.SetAndObserveMesh(_tetrahedra(mesh))
    model.AddDefaultStorageNode()
    model.GetStorageNode().SetDefaultWriteFileExtension("vtu")  # compressed, unlike the default legacy file
    model.CreateDefaultDisplayNodes()
    display = model.GetDisplayNode()
    display.SetVisibility(False)
    display.SetVisibility2D(True)
    display.SetEdgeVisibility(True)
    display.SetActiveScalarName("region")
    return model


def _surface(mesh: BiVMesh, patch: str):
    """vtkPolyData of one patch in RAS, its unused nodes left out."""
    import vtk

    used, triangles = np.unique(mesh.patch(patch), return_inverse=True)
    surface = vtk.vtkPolyData()
    surface.SetPoints(_points(mesh.nodes[used]))
    surface.SetPolys(_cells(triangles.reshape(-1, 3)))
    return surface


def _tetrahedra(mesh: BiVMesh):
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    grid = vtk.vtkUnstructuredGrid()
    grid.SetPoints(_points(mesh.nodes))
    grid.SetCells(vtk.VTK_TETRA, _cells(mesh.tets))
    regions = numpy_to_vtk(np.ascontiguousarray(mesh.regions, np.int32), deep=True)
    regions.SetName("region")
    grid.GetCellData().AddArray(regions)
    return grid


def _points(lps: np.ndarray):
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    points = vtk.vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(swap_points(lps)), deep=True))
    return points


def _cells(indices: np.ndarray):
    """vtkCellArray of cells with equal numbers of nodes, from (M, n) node indices."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtkIdTypeArray

    flat = np.ascontiguousarray(indices, np.int64).ravel()
    offsets = np.arange(0, flat.size + 1, indices.shape[1], dtype=np.int64)
    cells = vtk.vtkCellArray()
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(flat, deep=True))
    return cells
