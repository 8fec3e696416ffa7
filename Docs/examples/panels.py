"""Make the pictures of Docs/Tutorial.md: ``python Docs/examples/panels.py [FOLDER]``.

Runs the tutorial on the panel host of the tests with the synthetic heart, photographs the three panels after
*Apply*, and draws what the views show from the nodes of the scene: slices with matplotlib, models with VTK off-screen.
"""

import base64
import io
import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from PySide6.QtWidgets import QLabel  # noqa: E402
from tutorial import MODULES, ROOT, Walk, walk  # noqa: E402

from Testing.SlicerHost import SlicerHost  # noqa: E402

WIDTH = 1000
PANELS = {"segmentation": "CardiacSegPanel", "landmarks": "CardiacLandmarksPanel", "mesh": "BiVMeshPanel"}


def main(folder: Path) -> None:
    """Write all pictures into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    with SlicerHost(*MODULES, style_modules=("tutorial",)) as host, tempfile.TemporaryDirectory() as work:
        os.chdir(work)  # so that no picture shows a path of the machine that made it

        def step_done(step: str, panel, done: Walk) -> None:
            if panel is not None:
                fit_texts(host, panel)
                host.photograph(panel, folder / f"{PANELS[step]}.png")
            if step in VIEWS:
                VIEWS[step](done, folder)
            print(step, done.said.get(step, "").replace("\n", "; "))

        walk(host, Path(), step_done)
        os.chdir(folder)


def fit_texts(host, panel) -> None:
    """Make a panel as high as its texts need, where Slicer would scroll."""
    for widget in vars(panel.ui).values():
        if isinstance(widget, QLabel) and widget.wordWrap() and widget.isVisible():
            widget.setMinimumHeight(widget.heightForWidth(widget.width()))
    host.process_events()
    panel.parent.resize(panel.parent.width(), panel.parent.sizeHint().height())
    host.process_events()


def draw_labels(done: Walk, folder: Path) -> None:
    """The short axis at end-diastole with the contours of the segmentation, and the long-axis views that it cuts."""
    from CardiacLib.mrml.nodes.cines import cine_from_node
    from CardiacLib.mrml.nodes.segmentations import labels_from_node
    from CardiacLib.mrml.panel.results import result_of
    from cineheart.report.slices import long_axis, montage

    cines = {view: cine_from_node(node) for view, node in done.volumes.items()}
    labels = labels_from_node(done.segmentation, done.volumes["sax"])
    facts = result_of(done.segmentation).facts
    _write(montage(cines["sax"], labels, facts["ed"], "End-diastole"), folder / "tutorial_slices.png")
    views = [cines[view] for view in ("2ch", "3ch", "4ch")]
    phases = [("end-diastole", facts["ed"]), ("end-systole", facts["es"])]
    _write(long_axis(views, labels, phases), folder / "tutorial_long_axis.png")


def draw_points(done: Walk, folder: Path) -> None:
    """The 3-D view: the segmentation's surfaces and the valve points."""
    actors = [_actor(surface, colour, 0.5) for surface, colour in _segment_surfaces(done.segmentation)]
    for node in done.points.values():
        colour = node.GetDisplayNode().GetSelectedColor()
        for number in range(node.GetNumberOfControlPoints()):
            if node.GetNthControlPointPositionStatus(number) == node.PositionDefined:
                actors.append(_sphere(node.GetNthControlPointPosition(number), colour))
    _render(actors, done, folder / "tutorial_valves.png")


def draw_mesh(done: Walk, folder: Path) -> None:
    """The 3-D view after Apply: the patches as their models show them."""
    actors = []
    for name in ("EPI", "ENDO_LV", "ENDO_RV", "BASE"):
        display = done.models[name].GetDisplayNode()
        actor = _actor(done.models[name].GetPolyData(), display.GetColor(), display.GetOpacity())
        actor.GetProperty().SetEdgeVisibility(name != "EPI")
        actor.GetProperty().SetEdgeOpacity(0.3)
        actors.append(actor)
    _render(actors, done, folder / "tutorial_mesh.png")


VIEWS = {"segmentation": draw_labels, "landmarks": draw_points, "mesh": draw_mesh}


def _write(picture, path: Path) -> None:
    """A picture of the report as a PNG of at most WIDTH pixels across."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(picture.source.split(",", 1)[1]))).convert("RGB")
    image.thumbnail((WIDTH, WIDTH))
    image.quantize(128).save(path, optimize=True)


def _segment_surfaces(node):
    """(surface, colour) of every segment, in the frame that is shown, smoothed for the eye."""
    import numpy as np
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    from CardiacLib.mrml.nodes.segmentations import labels_from_node
    from CardiacLib.mrml.nodes.sequences import sequence_of
    from CardiacLib.types.labels import structures

    labels, frame = labels_from_node(node), sequence_of(node)[0].GetSelectedItemNumber()
    for label in (1, 2, 3):
        inside = np.pad(labels.labels[frame] == label, 1).astype("uint8")  # a surface that ends at the border is open
        image = vtk.vtkImageData()
        image.SetOrigin(-1, -1, -1)
        image.SetDimensions(*inside.shape[::-1])
        image.GetPointData().SetScalars(numpy_to_vtk(inside.ravel(), deep=True))
        surface = vtk.vtkDiscreteFlyingEdges3D()
        surface.SetInputData(image)
        smooth = vtk.vtkWindowedSincPolyDataFilter()
        smooth.SetInputConnection(surface.GetOutputPort())
        place = vtk.vtkTransform()
        matrix = labels.ijk_to_lps.copy()
        matrix[:2] *= -1  # the scene is RAS
        place.SetMatrix(matrix.ravel().tolist())
        placed = vtk.vtkTransformPolyDataFilter()
        placed.SetTransform(place)
        placed.SetInputConnection(smooth.GetOutputPort())
        placed.Update()
        yield placed.GetOutput(), [part / 255 for part in structures()[label].rgb]


def _sphere(centre, colour):
    import vtk

    source = vtk.vtkSphereSource()
    source.SetCenter(*centre)
    source.SetRadius(2.5)
    source.SetThetaResolution(24)
    source.SetPhiResolution(24)
    source.Update()
    return _actor(source.GetOutput(), colour, 1.0)


def _actor(surface, colour, opacity: float):
    import vtk

    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(surface)
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputConnection(normals.GetOutputPort())
    mapper.ScalarVisibilityOff()
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*colour)
    actor.GetProperty().SetOpacity(opacity)
    return actor


def _render(actors, done: Walk, path: Path) -> None:
    """An off-screen picture from the front of the heart, base up, on Slicer's background."""
    import numpy as np
    import vtk

    renderer, window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
    renderer.SetBackground(0.76, 0.76, 0.91)
    renderer.SetUseDepthPeeling(True)
    for actor in actors:
        renderer.AddActor(actor)
    window.SetOffScreenRendering(True)
    window.SetMultiSamples(0)
    window.SetAlphaBitPlanes(True)
    window.SetSize(640, 520)
    window.AddRenderer(renderer)
    matrix = vtk.vtkMatrix4x4()
    done.volumes["sax"].GetIJKToRASMatrix(matrix)
    up = np.array([matrix.GetElement(row, 2) for row in range(3)])
    left = np.array([1.0, 0.0, 0.0])
    towards = np.cross(left - up * (left @ up) / (up @ up), up)
    towards *= np.sign(towards[1]) / np.linalg.norm(towards)  # anterior is +y in RAS
    camera = renderer.GetActiveCamera()
    camera.SetPosition(*towards)
    camera.SetFocalPoint(0, 0, 0)
    camera.SetViewUp(*(up * np.sign(up @ _base_direction(done))))
    renderer.ResetCamera()
    camera.Zoom(1.2)
    window.Render()
    grabbed = vtk.vtkWindowToImageFilter()
    grabbed.SetInput(window)
    writer = vtk.vtkPNGWriter()
    writer.SetInputConnection(grabbed.GetOutputPort())
    writer.SetFileName(str(path))
    writer.Write()


def _base_direction(done: Walk):
    """RAS direction from the labelled ventricles' middle to the valves."""
    import numpy as np

    from CardiacLib.geometry import apply
    from CardiacLib.mrml.nodes.segmentations import labels_from_node

    labels = labels_from_node(done.segmentation)
    middle = apply(labels.ijk_to_lps, np.argwhere(labels.labels[0] > 0)[:, ::-1].mean(0)) * (-1, -1, 1)
    points = [
        node.GetNthControlPointPosition(number)
        for node in done.points.values()
        for number in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(number) == node.PositionDefined
    ]
    return np.mean(points, axis=0) - middle


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Docs" / "images")
