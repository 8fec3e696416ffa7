"""Colours of a mesh on its surfaces, which move where the mesh does: helix angle, AHA segment, strain.

They are computed when they are asked for, of the tetrahedra and of what the sequences hold, so that scenes of earlier
versions have them too and others do not grow.
"""

import numpy as np

from BiVMeshLib.anatomy.strain import circumferential_strain_percent
from BiVMeshLib.exporters.common import tet_of_triangle
from CardiacLib.mrml.nodes.colours import show_scalar, show_segments
from CardiacLib.mrml.nodes.frames import named_array, swap_points
from CardiacLib.mrml.nodes.sequences import sequence_of, show_selected
from CardiacLib.types.bivmesh import PATCHES, BiVMesh, whole_patches

from .fibres import HELIX, base_normal, helix_angle_deg

AHA, STRAIN = "aha", "circumferential_strain_percent"
HELIX_LIMITS, STRAIN_LIMITS = (-90.0, 90.0), (-30.0, 30.0)
"""Values at the ends of the scale."""


def colour_surfaces(surfaces: list, mesh: BiVMesh, view: str) -> None:
    """Colour the models of a mesh's patches in every frame by ``helix``, ``aha`` or ``strain``.

    Args:
        surfaces: models of patches, as of ``models.mesh_to_scene``; for ``strain`` proxies of sequences.
        mesh: whose patches they are, at the frame from which strain counts.
    """
    import vtk

    values = {"helix": lambda: helix_angle_deg(mesh), "aha": lambda: mesh.cell_fields["aha"]}
    of_tets = values[view]() if view in values else None
    owners = tet_of_triangle(mesh)[0]
    whole = whole_patches(mesh.patches)
    up = swap_points(base_normal(mesh))
    browsers = []
    for model in surfaces:
        patch = model.GetName().rpartition(" ")[2]
        here = whole == PATCHES[patch]
        browser, sequence = sequence_of(model)
        moments = [model] if sequence is None else _data_nodes(sequence)
        if of_tets is not None:
            array = named_array({"helix": HELIX, "aha": AHA}[view], of_tets[owners[here]])
            for moment in moments:
                moment.GetPolyData().GetCellData().AddArray(array)
        else:
            used, triangles = np.unique(mesh.triangles[here], return_inverse=True)
            reference = swap_points(mesh.nodes[used])
            for moment in moments:
                strain = circumferential_strain_percent(
                    triangles.reshape(-1, 3), reference, _points(moment.GetPolyData()), up
                )
                moment.GetPolyData().GetPointData().AddArray(named_array(STRAIN, strain))
        browsers += [browser] if browser is not None and browser not in browsers else []
        display = model.GetDisplayNode()
        if view == "aha":
            show_segments(display, AHA, vtk.vtkAssignAttribute.CELL_DATA)
        elif view == "helix":
            show_scalar(display, HELIX, vtk.vtkAssignAttribute.CELL_DATA, HELIX_LIMITS)
        else:
            show_scalar(display, STRAIN, vtk.vtkAssignAttribute.POINT_DATA, STRAIN_LIMITS)
    for browser in browsers:
        show_selected(browser)


def _data_nodes(sequence) -> list:
    return [sequence.GetNthDataNode(item) for item in range(sequence.GetNumberOfDataNodes())]


def _points(surface) -> np.ndarray:
    from vtk.util.numpy_support import vtk_to_numpy

    return vtk_to_numpy(surface.GetPoints().GetData()).astype(float)
