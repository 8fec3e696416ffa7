"""Biventricular meshes as model nodes: a surface for each patch, tetrahedra, fibres, valve rings; and back."""

import json

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.colours import show_scalar, show_segments
from CardiacLib.mrml.nodes.frames import cell_array, named_array, points_ras, swap_points
from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.host import plain_host
from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.types.bivmesh import ALL_PATCHES, MESH_VIEWS, PATCH_RGB, PATCHES, BiVMesh
from CardiacLib.types.mesh_quality import MeshQuality

from .fibres import add_fibres
from .rings import add_rings, keep_rings, rings_of
from .surface_colours import colour_surfaces

VECTORS = ("fibre", "sheet", "normal")
"""Cell fields that are directions, and so change from LPS to RAS."""
QUALITY_ATTRIBUTE, NOTES_ATTRIBUTE = "CineHeart.quality", "CineHeart.notes"
TRIANGLES, PATCH_IDS = "triangles", "patches"
"""Field arrays of the tetrahedra's model: the boundary, so that a mesh can be had back from one node."""
EPI_OPACITY = 0.35
"""The cavities show through the epicardium, unless it is coloured."""
SURFACES, FIBRES = "CineHeart.surface", "CineHeart.fibres"
"""Node references of the tetrahedra's model to the other models of the mesh."""


def mesh_to_scene(mesh: BiVMesh, name: str) -> Nodes:
    """Put a mesh into the scene (RAS; Slicer writes model files in LPS again).

    Returns:
        model node by patch name; under ``VOLUME`` the model of the tetrahedra with the cell array ``region`` (ids of
        ``REGIONS``) and the mesh's own fields, hidden at first because the surfaces cover it; of a mesh with valve
        rings a model of a closed line under the name of each valve; and, of a mesh with fibres, under ``FIBRES`` a
        hidden model of short lines along them.
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
        display.SetOpacity(EPI_OPACITY if patch == "EPI" else 1.0)
        display.SetBackfaceCulling(False)
        models[patch] = model
    models |= add_rings(mesh, name)
    models["VOLUME"] = _volume_model(mesh, f"{name} tetrahedra")
    if "fibre" in mesh.cell_fields:
        models["FIBRES"] = add_fibres(mesh, f"{name} fibres")
    link_models(models)
    return models


def link_models(models: Nodes) -> None:
    """Let the model of the tetrahedra know the other models of its mesh, given as :func:`mesh_to_scene` names them."""
    volume, fibres = models["VOLUME"], models.get("FIBRES")
    volume.RemoveNodeReferenceIDs(SURFACES)
    for patch in ALL_PATCHES:
        if patch in models:
            volume.AddNodeReferenceID(SURFACES, models[patch].GetID())
    volume.SetNodeReferenceID(FIBRES, fibres.GetID() if fibres is not None else None)


def mesh_views(volume) -> list[str]:
    """Those of MESH_VIEWS that a mesh can be shown by, given its model of the tetrahedra."""
    grid = volume.GetUnstructuredGrid()
    shown = {"surfaces"} | ({"fibres"} if volume.GetNodeReference(FIBRES) else set())
    if grid is not None:
        shown |= {"helix"} if shown & {"fibres"} and grid.GetPointData().HasArray("transmural") else set()
        shown |= {"strain"} if _moves(volume) else set()
        shown |= {
            view for view in MESH_VIEWS if grid.GetCellData().HasArray(view) or grid.GetPointData().HasArray(view)
        }
    return [view for view in MESH_VIEWS if view in shown]


def show_mesh(volume, view: str) -> None:
    """Show a mesh by one of :func:`mesh_views`; the models that would hide it are hidden.

    Patches, helix angle, strain and, of a mesh that moves, AHA segments are shown on the surfaces, which move.

    Raises:
        InputError: the mesh has no such array or no fibres.
    """
    import vtk

    if view not in mesh_views(volume):
        raise InputError(f"'{volume.GetName()}' has no {view}; build the mesh again with it.")
    surfaces = _surfaces(volume)
    on_surfaces = view in ("helix", "strain") or (view == "aha" and _moves(volume))
    if on_surfaces:
        colour_surfaces(surfaces, mesh_from_node(volume), view)
    fibres = volume.GetNodeReference(FIBRES)
    for surface in surfaces:
        outside = surface.GetName().endswith((" EPI", " BASE"))
        surface.SetDisplayVisibility(view == "surfaces" or on_surfaces or (view == "fibres" and not outside))
        display = surface.GetDisplayNode()
        if on_surfaces:
            display.SetOpacity(1.0)
        elif display.GetScalarVisibility():
            display.SetScalarVisibility(False)
            display.SetOpacity(EPI_OPACITY if surface.GetName().endswith(" EPI") else 1.0)
    if fibres is not None:
        fibres.SetDisplayVisibility(view == "fibres")
    volume.SetDisplayVisibility(view not in ("surfaces", "fibres") and not on_surfaces)
    if volume.GetDisplayVisibility():
        on_cells = volume.GetUnstructuredGrid().GetCellData().HasArray(view)
        place = vtk.vtkAssignAttribute.CELL_DATA if on_cells else vtk.vtkAssignAttribute.POINT_DATA
        if view == "aha":
            show_segments(volume.GetDisplayNode(), view, place)
        else:
            show_scalar(volume.GetDisplayNode(), view, place)


def _surfaces(volume) -> list:
    """The models of the patches."""
    return [volume.GetNthNodeReference(SURFACES, n) for n in range(volume.GetNumberOfNodeReferences(SURFACES))]


def _moves(volume) -> bool:
    """Whether the surfaces play in a sequence browser."""
    return any(sequence_of(surface)[1] is not None for surface in _surfaces(volume))


def mesh_from_node(model) -> BiVMesh:
    """The mesh that :func:`mesh_to_scene` put under ``VOLUME``, also after the scene was saved and loaded.

    Raises:
        InputError: the model is another one.
    """
    from vtk.util.numpy_support import vtk_to_numpy

    grid = model.GetUnstructuredGrid()
    stored = model.GetAttribute(QUALITY_ATTRIBUTE)
    if grid is None or stored is None or grid.GetFieldData().GetArray(TRIANGLES) is None:
        raise InputError(
            f"Model '{model.GetName()}' is no mesh of the Biventricular Mesh module; choose its tetrahedra."
        )

    def arrays(data) -> dict[str, np.ndarray]:
        named = (data.GetArray(n) for n in range(data.GetNumberOfArrays()))
        return {array.GetName(): vtk_to_numpy(array).copy() for array in named}

    quality = json.loads(stored)
    cells, boundary = arrays(grid.GetCellData()), arrays(grid.GetFieldData())
    regions = cells.pop("region")
    return BiVMesh(
        nodes=swap_points(vtk_to_numpy(grid.GetPoints().GetData())),
        tets=vtk_to_numpy(grid.GetCells().GetConnectivityArray()).reshape(-1, 4).astype(np.int64),
        regions=regions,
        triangles=boundary[TRIANGLES].astype(np.int64),
        patches=boundary[PATCH_IDS],
        quality=quality and MeshQuality.from_dict(quality),
        notes=tuple(json.loads(model.GetAttribute(NOTES_ATTRIBUTE))),
        cell_fields={n: swap_points(values) if n in VECTORS else values for n, values in cells.items()},
        point_fields=arrays(grid.GetPointData()),
        rings=rings_of(model),
    )


def _volume_model(mesh: BiVMesh, name: str):
    import slicer

    model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    model.SetAndObserveMesh(_tetrahedra(mesh))
    model.SetAttribute(QUALITY_ATTRIBUTE, json.dumps(mesh.quality and mesh.quality.to_dict()))
    model.SetAttribute(NOTES_ATTRIBUTE, json.dumps(mesh.notes))
    keep_rings(model, mesh.rings)
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
    surface.SetPoints(points_ras(mesh.nodes[used]))
    surface.SetPolys(cell_array(triangles.reshape(-1, 3)))
    return surface


def _tetrahedra(mesh: BiVMesh):
    import vtk

    grid = vtk.vtkUnstructuredGrid()
    grid.SetPoints(points_ras(mesh.nodes))
    grid.SetCells(vtk.VTK_TETRA, cell_array(mesh.tets))
    grid.GetCellData().AddArray(named_array("region", mesh.regions.astype(np.int32)))
    for name, values in mesh.cell_fields.items():
        grid.GetCellData().AddArray(named_array(name, swap_points(values) if name in VECTORS else values))
    for name, values in mesh.point_fields.items():
        grid.GetPointData().AddArray(named_array(name, values))
    grid.GetFieldData().AddArray(named_array(TRIANGLES, mesh.triangles))
    grid.GetFieldData().AddArray(named_array(PATCH_IDS, mesh.patches))
    return grid
