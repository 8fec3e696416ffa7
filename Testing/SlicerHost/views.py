"""The main window's layout: real layout and slice logics, and pictures of the slice views without a graphics system."""

import types
from pathlib import Path

import numpy as np
import slicer
import vtk
from PIL import Image
from vtk.util.numpy_support import vtk_to_numpy

SIZE = 360
"""Pixels of a slice view's side."""
NEAR_MM = 4.0
"""A point is drawn in a slice view this near to its plane."""


class LayoutManager:
    """``slicer.app.layoutManager()``: makes the views that a layout names, as the layout logic tells."""

    def __init__(self, application_logic):
        self._application_logic, self._logic = application_logic, slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._slices: dict[str, slicer.vtkMRMLSliceLogic] = {}
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def layoutLogic(self):
        """The real one."""
        return self._logic

    @property
    def layout(self) -> int:
        """Number of the layout that is shown."""
        return self._logic.GetLayoutNode().GetViewArrangement()

    def setLayout(self, number: int) -> None:
        """Show a layout; the slice views that it has not had before get their logics."""
        self._logic.GetLayoutNode().SetViewArrangement(number)
        collection = vtk.vtkCollection()
        for node in self._nodes("vtkMRMLSliceNode"):
            if node.GetLayoutName() not in self._slices:
                logic = slicer.vtkMRMLSliceLogic()
                logic.SetMRMLApplicationLogic(self._application_logic)
                logic.SetMRMLScene(slicer.mrmlScene)
                logic.SetSliceNode(node)
                node.SetDimensions(SIZE, SIZE, 1)
                self._slices[node.GetLayoutName()] = logic
        for logic in self._slices.values():
            collection.AddItem(logic)
        self._application_logic.SetSliceLogics(collection)

    def sliceViewNames(self) -> list[str]:
        """Names of the slice views of the layout."""
        shown = self._logic.GetViewNodes()
        nodes = [shown.GetItemAsObject(number) for number in range(shown.GetNumberOfItems())]
        return [node.GetLayoutName() for node in nodes if node.IsA("vtkMRMLSliceNode")]

    def sliceWidget(self, name: str):
        """The slice view of a name."""
        logic = self._slices[name]
        return types.SimpleNamespace(mrmlSliceNode=logic.GetSliceNode, sliceLogic=lambda: logic)

    def mrmlSliceLogics(self):
        """Of all slice views."""
        return self._application_logic.GetSliceLogics()

    threeDViewCount = 0

    def resetThreeDViews(self) -> None:
        """There is no 3D view to aim."""

    @staticmethod
    def _nodes(kind: str) -> list:
        scene = slicer.mrmlScene
        return [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]

    def photograph(self, path: str | Path) -> None:
        """Save a picture of the layout's slice views, two beside each other, as PNG: image, labels, points."""
        tiles = [self._picture(self._slices[name]) for name in self.sliceViewNames()]
        rows = [np.hstack(tiles[start : start + 2]) for start in range(0, len(tiles) - len(tiles) % 2, 2)]
        Image.fromarray(np.vstack(rows)).save(path)

    def _picture(self, logic) -> np.ndarray:
        """(SIZE, SIZE, 3) pixels of one slice view."""
        node = logic.GetSliceNode()
        connection = logic.GetImageDataConnection()
        colours = np.zeros((SIZE, SIZE, 3), np.uint8)
        if connection is not None:
            connection.GetProducer().Update()
            image = connection.GetProducer().GetOutputDataObject(connection.GetIndex())
            shape = (image.GetDimensions()[1], image.GetDimensions()[0], -1)
            colours = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape)[..., :3].astype(np.uint8).copy()
        for segmentation in self._nodes("vtkMRMLSegmentationNode"):
            self._draw_labels(colours, node, segmentation)
        for points in self._nodes("vtkMRMLMarkupsFiducialNode"):
            self._draw_points(colours, node, points)
        colours[[0, -1]] = colours[:, [0, -1]] = 90
        return colours[::-1]

    @staticmethod
    def _draw_labels(colours, node, segmentation) -> None:
        from CardiacLib.mrml.nodes.frames import from_vtk_image, to_array

        rows, columns = np.mgrid[:SIZE, :SIZE]
        places = np.stack([columns, rows, 0 * rows, 0 * rows + 1], -1) @ to_array(node.GetXYToRAS()).T
        content = segmentation.GetSegmentation()
        for number in range(content.GetNumberOfSegments()):
            segment = content.GetNthSegment(number)
            image = segment.GetRepresentation("Binary labelmap")
            matrix, extent = vtk.vtkMatrix4x4(), image.GetExtent()
            image.GetWorldToImageMatrix(matrix)
            if extent[1] < extent[0]:
                continue
            index = np.rint(places @ to_array(matrix).T)[..., :3].astype(int) - np.array(extent[::2])
            values = from_vtk_image(image)
            inside = ((index >= 0) & (index < values.shape[::-1])).all(-1)
            k, j, i = np.moveaxis(np.where(inside[..., None], index, 0), -1, 0)[::-1]
            drawn = inside & (values[k, j, i] == segment.GetLabelValue())
            colour = 255 * np.array(segment.GetColor())
            colours[drawn] = (0.6 * colours[drawn] + 0.4 * colour).astype(np.uint8)

    @staticmethod
    def _draw_points(colours, node, points) -> None:
        from CardiacLib.mrml.nodes.frames import to_array

        if not points.GetDisplayNode().IsDisplayableInView(node.GetID()):
            return
        to_ras = to_array(node.GetXYToRAS())
        to_xy, thickness = np.linalg.inv(to_ras), np.linalg.norm(to_ras[:3, 2])
        for number in range(points.GetNumberOfControlPoints()):
            x, y, depth, _ = to_xy @ [*points.GetNthControlPointPosition(number), 1]
            if abs(depth) * thickness < NEAR_MM and 3 <= x < SIZE - 3 and 3 <= y < SIZE - 3:
                around = np.s_[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4]
                colours[around] = 255 * np.array(points.GetDisplayNode().GetSelectedColor())
