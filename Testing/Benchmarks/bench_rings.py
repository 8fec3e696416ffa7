"""Valve rings on the synthetic heart against its own valves, over the cycle; a picture of them.

    python Testing/Benchmarks/bench_rings.py -o rings

writes ``rings.md`` (the table of Docs/BiVMesh.md), ``rings.png`` and the mesh with its pools. Minutes. With ``--mesh``
the picture of a mesh that ``cineheart mesh --valve-rings --format vtu,pools`` wrote is drawn instead.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / name) for name in ("CardiacSeg", "CardiacLandmarks", "BiVMesh"))]

from BiVMeshLib import MeshOptions  # noqa: E402
from BiVMeshLib.result import MeshChoice  # noqa: E402
from BiVMeshLib.valves.with_rings import lids_of  # noqa: E402
from CardiacLib.geometry import apply  # noqa: E402
from CardiacLib.phantom import PhantomOptions, make_phantom  # noqa: E402
from CardiacLib.phantom.motion import tricuspid_hinges  # noqa: E402
from CardiacLib.phantom.vessels import surroundings  # noqa: E402
from cineheart import steps  # noqa: E402
from cineheart.outputs import write_mesh  # noqa: E402

RGB = {1: (0.85, 0.62, 0.55), 2: (0.78, 0.16, 0.16), 3: (0.20, 0.40, 0.75), 4: (0.75, 0.75, 0.75)}
RGB |= {5: (0.9, 0.75, 0.75), 6: (0.7, 0.75, 0.9), 7: (1.0, 0.3, 0.3), 8: (0.3, 0.75, 1.0), 9: (1.0, 0.82, 0.25)}


def true_rings(phantom, frame: int) -> dict[str, np.ndarray]:
    """The circles from which the phantom's leaflets hang, (360, 3) LPS mm, by the name of the patch."""
    shape = phantom.motion.shapes[frame]
    around = surroundings(
        shape, phantom.motion.shapes[0], tricuspid_hinges(phantom.options, shape), opening=0.0, ejecting=False
    )
    turn = np.linspace(0.0, 2.0 * np.pi, 360, endpoint=False)
    found = {}
    for name, (centre, radius), plane in (
        ("MITRAL", around.mitral, shape.base),
        ("AORTIC", (shape.aortic_center, shape.aortic_radius), shape.base),
        ("TRICUSPID", around.tricuspid, shape.rv_base),
    ):
        x, y = centre[0] + radius * np.cos(turn), centre[1] + radius * np.sin(turn)
        found[name] = apply(phantom.heart_to_lps, np.stack([x, y, plane[0] + plane[1] * x + plane[2] * y], 1))
    return found


def sizes(curve: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Centre, area and perimeter of a closed curve (P, 3)."""
    around = curve - curve.mean(0)
    area = 0.5 * np.linalg.norm(np.cross(around, np.roll(around, -1, axis=0)).sum(0))
    return curve.mean(0), float(area), float(np.linalg.norm(curve - np.roll(curve, -1, axis=0), axis=1).sum())


def table(phantom, moving) -> str:
    """Rows of rings and caps at ED and ES, and how many lid triangles are folded in all frames."""
    rows = ["| valve | centre, mm off | area, mm² (true) | perimeter, mm (true) | cap, mm² |", "|---|---|---|---|---|"]
    for name in ("MITRAL", "AORTIC", "TRICUSPID"):
        for when, frame in (("ED", phantom.ed), ("ES", phantom.es)):
            ring = next(ring for ring in moving.rings[frame] if ring.name == name)
            (place, area, around), found = sizes(true_rings(phantom, frame)[name]), sizes(ring.points)
            off = np.linalg.norm(found[0] - place)
            rows.append(
                f"| {name.lower()}, {when} | {off:.1f} | {found[1]:.0f} ({area:.0f}) | {found[2]:.0f} ({around:.0f}) "
                f"| {ring.cap_mm2:.0f} |"
            )
    lids = lids_of(moving.mesh).values()
    folded = [sum(lid.folded(moving.nodes(t)) for lid in lids) for t in range(len(moving))]
    return "\n".join([*rows, "", f"Folded lid triangles by frame: {folded}", ""])


def draw(folder: Path, path: Path) -> None:
    """``mesh.vtu``, ``surface.vtp``, ``pools`` and ``rings.vtp`` of a folder, seen from above the base."""
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401
    from vtkmodules.vtkCommonCore import vtkLookupTable
    from vtkmodules.vtkFiltersCore import vtkTubeFilter
    from vtkmodules.vtkIOImage import vtkPNGWriter
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader
    from vtkmodules.vtkRenderingCore import (
        vtkActor,
        vtkPolyDataMapper,
        vtkRenderer,
        vtkRenderWindow,
        vtkWindowToImageFilter,
    )

    colours = vtkLookupTable()
    colours.SetNumberOfTableValues(10)
    colours.SetTableRange(0, 9)
    for number in range(10):
        colours.SetTableValue(number, *RGB.get(number, (1.0, 1.0, 1.0)), 1.0)
    renderer, base = vtkRenderer(), []
    renderer.SetBackground(1.0, 1.0, 1.0)
    for name in ("surface.vtp", "pools/LV_POOL.vtp", "pools/RV_POOL.vtp", "rings.vtp"):
        reader = vtkXMLPolyDataReader()
        reader.SetFileName(str(folder / name))
        reader.Update()
        reader.GetOutput().GetCellData().SetActiveScalars("patch")
        mapper, actor = vtkPolyDataMapper(), vtkActor()
        mapper.SetInputConnection(reader.GetOutputPort())
        if name == "rings.vtp":
            base = np.array([reader.GetOutput().GetPoint(n) for n in range(reader.GetOutput().GetNumberOfPoints())])
            tube = vtkTubeFilter()
            tube.SetInputConnection(reader.GetOutputPort())
            tube.SetRadius(0.7)
            tube.SetNumberOfSides(12)
            mapper.SetInputConnection(tube.GetOutputPort())
            actor.GetProperty().SetColor(0.05, 0.05, 0.05)
            mapper.ScalarVisibilityOff()
        mapper.SetLookupTable(colours)
        mapper.SetScalarRange(0, 9)
        mapper.SetScalarModeToUseCellData()
        actor.SetMapper(mapper)
        actor.GetProperty().SetEdgeVisibility(name != "rings.vtp")
        actor.GetProperty().SetEdgeColor(0.35, 0.35, 0.35)
        actor.GetProperty().SetAmbient(0.35)
        actor.GetProperty().SetDiffuse(0.75)
        renderer.AddActor(actor)
    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(8)
    window.SetSize(900, 750)
    window.AddRenderer(renderer)
    middle = base.mean(0)
    normal = np.linalg.svd(base - middle)[2][2]
    low = np.array(renderer.ComputeVisiblePropBounds()).reshape(3, 2).mean(1)
    normal *= np.sign(normal @ (middle - low))
    side = np.cross(normal, (1.0, 0.0, 0.0))
    camera = renderer.GetActiveCamera()
    camera.SetFocalPoint(*(middle - 15.0 * normal))
    camera.SetPosition(*(middle + 200.0 * (normal + 0.45 * side)))
    camera.SetViewUp(*-side)
    renderer.ResetCamera()
    camera.Zoom(1.5)
    window.Render()
    picture, writer = vtkWindowToImageFilter(), vtkPNGWriter()
    picture.SetInput(window)
    writer.SetInputConnection(picture.GetOutputPort())
    writer.SetFileName(str(path))
    writer.Write()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--mesh", type=Path, help="draw this mesh only")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    if given.mesh is None:
        phantom = make_phantom(PhantomOptions())
        choice = MeshChoice(options=MeshOptions(fibres=False, coordinates=False), motion=True, valve_rings=True)
        made = steps.mesh(phantom.labels, choice, valves=phantom.landmarks).complete()
        write_mesh(made, given.output, ("vtu", "vtp", "pools"))
        text = table(phantom, made.moving)
        (given.output / "rings.md").write_text(text, encoding="utf-8")
        print(text)
    draw(given.mesh or given.output, given.output / "rings.png")


if __name__ == "__main__":
    main()
