"""BiVMesh: a Slicer module that makes a tagged tetrahedral mesh of both ventricles from one frame's segmentation.

The panel and the logic only move values between the scene and the worker; the work is in BiVMeshLib, which runs as
well without Slicer. CardiacLib comes with the CardiacSeg module of the same extension.
"""

import enum
from collections.abc import Callable
from typing import Annotated

import slicer
from slicer import vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

DEFAULT_EDGE_LENGTH_MM = 1.8
DEFAULT_RV_WALL_MM = 3.0


class BiVMesh(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Biventricular Mesh")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        self.parent.dependencies = ["CardiacSeg", "Sequences", "Segmentations", "Models"]
        self.parent.contributors = ["CineHeart contributors"]
        self.parent.helpText = _(
            "Makes a watertight biventricular tetrahedral mesh with named surfaces (epicardium, both endocardia, "
            "base) and regions (left ventricle, septum, right ventricular wall) from a segmentation of the left "
            "ventricle, its myocardium and the right ventricle. For research use only."
        )
        self.parent.acknowledgementText = _(
            "The mesher follows isosurface stuffing (Labelle and Shewchuk, SIGGRAPH 2007)."
        )


class MeshFrame(enum.Enum):
    """Which frame of a segmentation sequence is meshed."""

    END_DIASTOLE = "ed"
    END_SYSTOLE = "es"
    SHOWN = "shown"

    @staticmethod
    def label(frame: "MeshFrame") -> str:
        """The text that the panel shows for a choice."""
        return {
            MeshFrame.END_DIASTOLE: _("End-diastole"),
            MeshFrame.END_SYSTOLE: _("End-systole"),
            MeshFrame.SHOWN: _("The frame that is shown"),
        }[frame]


@parameterNodeWrapper
class BiVMeshParameterNode:
    """The panel's choices, saved with the scene."""

    inputSegmentation: vtkMRMLSegmentationNode
    frame: MeshFrame = MeshFrame.END_DIASTOLE
    edgeLength: Annotated[float, WithinRange(1.0, 6.0)] = DEFAULT_EDGE_LENGTH_MM
    rvWallThickness: Annotated[float, WithinRange(1.0, 8.0)] = DEFAULT_RV_WALL_MM
    outputName: str = ""


class BiVMeshWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: connects the parameter node, Apply and Cancel; all else is in the logic."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._parameterNode = None
        self._guiTag = None
        self._modifiedTag = None

    def setup(self):
        """Load the panel; called once, when the module is first shown."""
        from CardiacLib.mrml.panels import JobPanel

        ScriptedLoadableModuleWidget.setup(self)
        panelWidget = slicer.util.loadUI(self.resourcePath("UI/BiVMesh.ui"))
        self.layout.addWidget(panelWidget)
        self.ui = slicer.util.childWidgetVariables(panelWidget)
        panelWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = BiVMeshLogic()
        self.panel = JobPanel(self.ui, _, self._updateApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.cancelButton.connect("clicked(bool)", self.onCancelButton)
        self.initializeParameterNode()

    def cleanup(self):
        """The module is unloaded or Slicer closes: leave no worker and no observer behind."""
        self.panel.cancel()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        """The user opens the module."""
        self.initializeParameterNode()

    def exit(self):
        """The user leaves the module; a run goes on and its result arrives all the same."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        """The scene is about to close: the run belongs to it, so stop."""
        self.panel.cancel()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """The scene is empty now; take its new parameter node if the panel is shown."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Use the scene's parameter node, with the first segmentation as input if none is chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputSegmentation:
            firstSegmentation = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
            if firstSegmentation:
                self._parameterNode.inputSegmentation = firstSegmentation

    def setParameterNode(self, parameterNode):
        """Disconnect the panel from its parameter node and connect it to another (or to none)."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self._parameterNode.RemoveObserver(self._modifiedTag)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._guiTag = self._parameterNode.connectGui(self.ui)
            self._modifiedTag = self._parameterNode.AddObserver("ModifiedEvent", self._updateApply)
        self._updateApply()

    def onApplyButton(self, checked=False):
        """Start the worker on the chosen frame; the model enters the scene when it is complete."""
        chosen = self._parameterNode
        segmentationNode, name = chosen.inputSegmentation, chosen.outputName

        def makeRequest():
            return self.logic.makeRequest(segmentationNode, chosen.frame, chosen.edgeLength, chosen.rvWallThickness)

        def addResult(mesh):
            models = self.logic.addResult(segmentationNode, mesh, name)
            self.ui.resultLabel.text = self.logic.describe(mesh)
            return _("Done: {count} models.").format(count=len(models))

        self.panel.start(makeRequest, addResult)

    def onCancelButton(self, checked=False):
        """Stop the worker."""
        self.panel.cancel()

    def _updateApply(self, caller=None, event=None):
        if self.panel is None:
            return
        hasInput = self._parameterNode is not None and self._parameterNode.inputSegmentation is not None
        self.panel.set_ready("" if hasInput else _("Choose a segmentation first."))


class BiVMeshLogic(ScriptedLoadableModuleLogic):
    """Meshing of a segmentation that is in the scene; works without the panel and without a window."""

    def getParameterNode(self):
        """The scene's parameter node of this module, with typed access."""
        return BiVMeshParameterNode(super().getParameterNode())

    def buildMesh(
        self,
        segmentationNode,
        frame: MeshFrame = MeshFrame.END_DIASTOLE,
        edgeLength: float = DEFAULT_EDGE_LENGTH_MM,
        rvWallThickness: float = DEFAULT_RV_WALL_MM,
        name: str = "",
        progress: Callable[[float, str], None] = lambda fraction, message: None,
    ) -> dict[str, object]:
        """Mesh one frame in a worker process, wait, and add the mesh to the scene.

        Args:
            segmentationNode: a segmentation, or the proxy of a segmentation sequence.
            frame: which frame of a sequence.
            edgeLength: of the tetrahedra, mm.
            rvWallThickness: thickness given to the right ventricular wall, mm.
            name: start of the models' names; made from the segmentation's name if empty.
            progress: called with (fraction, message); may raise CardiacLib.errors.Cancelled.

        Returns:
            model nodes by name: one per surface patch (EPI, ENDO_LV, ENDO_RV, BASE) and VOLUME, the tetrahedra.

        Raises:
            CardiacLib.errors.InputError: the segmentation cannot be meshed; the scene is unchanged.
        """
        from CardiacLib.mrml.panels import whole_scene_change
        from CardiacLib.mrml.processes import run_blocking

        mesh = run_blocking(self.makeRequest(segmentationNode, frame, edgeLength, rvWallThickness), progress)
        with whole_scene_change():
            return self.addResult(segmentationNode, mesh, name)

    def makeRequest(self, segmentationNode, frame: MeshFrame, edgeLength: float, rvWallThickness: float):
        """The worker's job for one frame of a segmentation in the scene."""
        from dataclasses import replace

        from CardiacLib.mrml.processes import JobRequest
        from CardiacLib.mrml.segmentations import labels_from_node

        labels = labels_from_node(segmentationNode)
        number = self._frameNumber(segmentationNode, labels, frame)
        oneFrame = replace(
            labels, labels=labels.labels[number : number + 1], times_ms=labels.times_ms[number : number + 1]
        )
        options = {"edge_length_mm": edgeLength, "rv_wall_mm": rvWallThickness}
        return JobRequest("BiVMeshLib", "mesh", {"labels": oneFrame}, {"mesh_options": options})

    def addResult(self, segmentationNode, mesh, name: str = "") -> dict[str, object]:
        """Add a mesh as models, one per surface patch and one of the tetrahedra."""
        from CardiacLib.mrml.models import mesh_to_scene
        from CardiacLib.mrml.panels import require_in_scene

        require_in_scene(segmentationNode, _("The segmentation"))
        return mesh_to_scene(mesh, name or _("{name} mesh").format(name=segmentationNode.GetName()))

    @staticmethod
    def describe(mesh) -> str:
        """Size of a mesh, and what the mesher repaired or assumed, as the panel shows them."""
        size = _("{tets} tetrahedra, {nodes} nodes, {triangles} surface triangles.").format(
            tets=len(mesh.tets), nodes=len(mesh.nodes), triangles=len(mesh.triangles)
        )
        return "\n".join([size, *mesh.notes])

    @staticmethod
    def _frameNumber(segmentationNode, labels, frame: MeshFrame) -> int:
        if len(labels.labels) == 1:
            return 0
        if frame is MeshFrame.SHOWN:
            from CardiacLib.mrml.sequences import sequence_of

            return sequence_of(segmentationNode)[0].GetSelectedItemNumber()
        from CardiacSegLib.function import measure

        function = measure(labels)
        return function.ed if frame is MeshFrame.END_DIASTOLE else function.es


class BiVMeshTest(ScriptedLoadableModuleTest):
    """Self test: meshes the end-diastolic labels of a small phantom by the logic, as a script would."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Called by Slicer's test runner and by Reload and Test."""
        self.setUp()
        self.test_buildMesh()

    def test_buildMesh(self):
        """The mesh of the phantom at end-diastole arrives as surface models and tetrahedra."""
        from CardiacLib.mrml.segmentations import labels_to_scene
        from CardiacLib.phantom import PhantomOptions, make_phantom

        segmentationNode = labels_to_scene(make_phantom(PhantomOptions.small()).labels, "labels")
        models = BiVMeshLogic().buildMesh(segmentationNode)
        self.assertEqual(set(models), {"EPI", "ENDO_LV", "ENDO_RV", "BASE", "VOLUME"})
        self.assertGreater(models["VOLUME"].GetMesh().GetNumberOfCells(), 1000)
