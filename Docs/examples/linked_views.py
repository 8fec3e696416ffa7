"""Draw the linked views of a result: ``python Docs/examples/linked_views.py RESULT FILE.png``.

The scene that ``cineheart run`` has written is opened by the browser app's session, whose slice views are those of
Slicer. One row of the picture is end-diastole, the other end-systole.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import vtk
from matplotlib.image import imsave
from trame.app import get_server
from vtk.util.numpy_support import vtk_to_numpy

from CardiacLib.mrml.nodes.study_views import SLICE_VIEWS
from CardiacLib.mrml.panel.results import result_of
from cineheart.web.app import App

SIDE = 320
"""Pixels of a view."""


def main(result: Path, path: Path) -> None:
    """Write the picture of ``result``, a folder with ``scene.mrb``, to ``path``."""
    with tempfile.TemporaryDirectory() as own:
        app = App(get_server("cineheart", client_type="vue3"), result.parent, Path(own))
        app.scene.open_result(result)
        views = [app.slicer.view_manager.get_view(tag) for tag in SLICE_VIEWS.values()]
        for tag, view in zip(SLICE_VIEWS.values(), views, strict=True):
            view.render_window().SetOffScreenRendering(1)
            view.render_window().SetSize(SIDE, SIDE)
            view.render_window().Render()
            app.slicer.app_logic.GetSliceLogicByLayoutName(tag).ResizeSliceNode(SIDE, SIDE)
        app.views.show(app.scene.volumes)
        facts, rows = result_of(app.scene.segmentation).facts, []
        for frame in (facts["ed"], facts["es"]):
            app.scene.show_frame(frame)
            rows.append(np.concatenate([photograph(view.render_window()) for view in views], axis=1))
        imsave(path, np.concatenate(rows))


def photograph(window) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8 picture of a render window."""
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    columns, rows, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3].copy()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
