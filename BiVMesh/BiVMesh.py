"""BiVMesh: a Slicer module that makes a tagged tetrahedral mesh of both ventricles from one frame's segmentation.

The panel and the logic only move values between the scene and the worker; the work is in BiVMeshLib, which runs as
well without Slicer. CardiacLib comes with the CardiacSeg module of the same extension.
"""

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import slicer
from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLModelNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

DEFAULT_EDGE_LENGTH_MM = 1.8
DEFAULT_RV_WALL_MM = 3.0
DEFAULT_HELIX_DEG = (60.0, -60.0)
VIEWS = ("surfaces", "fibres", "region", "aha", "transmural", "apicobasal", "rotational")  # of BiVMeshLib.mrml.models


class BiVMesh(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Biventricular Mesh")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        self.parent.dependencies = ["CardiacSeg", "Sequences", "Segmentations", "Models"]
        self.parent.contributors = ["CineHeart contributors"]
        self.parent.helpText = _(
            "Makes a watertight tetrahedral mesh of both ventricles, with named surfaces, regions and fibres, from a "
            "segmentation of the left ventricle, its myocardium and the right ventricle. For research use only."
        )
        self.parent.acknowledgementText = _("The mesher follows isosurface stuffing (Labelle and Shewchuk 2007).")


class MeshFrame(enum.Enum):
    """Which frame of a segmentation sequence is meshed."""

    END_DIASTOLE = "ed"
    END_SYSTOLE = "es"
    SHOWN = "shown"

    @staticmethod
    def label(frame: "MeshFrame") -> str:
        """The text that the panel shows for a choice."""
        texts = (_("End-diastole"), _("End-systole"), _("The frame that is shown"))
        return dict(zip(MeshFrame, texts, strict=True))[frame]


@parameterNodeWrapper
class BiVMeshParameterNode:
    """The panel's choices, saved with the scene; results stay with the tetrahedra (CardiacLib.mrml.panel.results)."""

    inputSegmentation: vtkMRMLSegmentationNode
    valvePoints: vtkMRMLMarkupsFiducialNode
    frame: MeshFrame = MeshFrame.END_DIASTOLE
    motion: bool = False
    propagationVolume: vtkMRMLScalarVolumeNode
    startSlice: Annotated[int, WithinRange(-1, 199)] = -1
    baseSlice: Annotated[int, WithinRange(-1, 199)] = -1
    propagated: vtkMRMLSegmentationNode
    alignSlices: bool = False
    edgeLength: Annotated[float, WithinRange(1.0, 6.0)] = DEFAULT_EDGE_LENGTH_MM
    rvWallThickness: Annotated[float, WithinRange(1.0, 8.0)] = DEFAULT_RV_WALL_MM
    fibres: bool = True
    helixEndo: Annotated[float, WithinRange(-90.0, 90.0)] = DEFAULT_HELIX_DEG[0]
    helixEpi: Annotated[float, WithinRange(-90.0, 90.0)] = DEFAULT_HELIX_DEG[1]
    mesh: vtkMRMLModelNode
    outputName: str = ""
    view: Annotated[str, Choice(list(VIEWS))] = VIEWS[0]
    exportFormats: str = "vtu,vtp"
    exportFolder: Path = Path.home() / "CineHeart mesh"


class BiVMeshWidget(ScriptedLoadableModuleWidget):
    """The panel: hands buttons to the logic; the wiring is CardiacLib.mrml.panel.module_panel.ModulePanel."""

    logic = panel = None

    def setup(self):
        """Load the panel; called once, when the module is first shown."""
        from BiVMeshLib.exporters import FORMATS
        from BiVMeshLib.mrml.mesh_export import MeshExportSection
        from BiVMeshLib.mrml.models import QUALITY_ATTRIBUTE, show_mesh
        from BiVMeshLib.mrml.propagation import PropagationSection
        from CardiacLib.mrml.nodes.markups import VALVE_ATTRIBUTE
        from CardiacLib.mrml.nodes.sequences import show_frame
        from CardiacLib.mrml.nodes.views import show_table
        from CardiacLib.mrml.panel.controls import ResultButtons
        from CardiacLib.mrml.panel.module_panel import ModulePanel, load_ui

        ScriptedLoadableModuleWidget.setup(self)
        load_ui(self)
        self.ui.outputSelector.addAttribute("vtkMRMLModelNode", QUALITY_ATTRIBUTE, None)
        self.ui.valvesSelector.addAttribute("vtkMRMLMarkupsFiducialNode", VALVE_ATTRIBUTE, None)
        self.logic = BiVMeshLogic()

        def showFrame(number):
            show_frame(self.panel.parameters.inputSegmentation, number)

        shown = {
            "showButton": ("VOLUME", lambda n: show_mesh(n, self.panel.parameters.view), _("Show the mesh as chosen.")),
            "qualityButton": ("QUALITY", show_table, _("Show every measure of the mesh's quality.")),
        }
        self._buttons = ResultButtons(self.ui, shown, _("There is no mesh yet: press Apply."))
        frames = {
            "endDiastoleButton": ("ed", showFrame, _("Show the frame of the largest LV volume.")),
            "endSystoleButton": ("es", showFrame, _("Show the frame of the smallest LV volume.")),
        }
        self._frames = ResultButtons(self.ui, frames, _("Cardiac Segmentation has not measured this segmentation."))
        self._export, self._propagation = MeshExportSection(self, FORMATS, _), PropagationSection(self, _)
        inputs, outputs = {"inputSegmentation": "vtkMRMLSegmentationNode"}, {"inputSegmentation": "mesh"}
        self.panel = ModulePanel(self, _, inputs, self._reason, self._onParametersChanged, outputs)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)

    def cleanup(self):
        """The module is unloaded or reloaded, or Slicer closes."""
        self.panel.close()

    def enter(self):
        """The user opens the module."""
        self.panel.connect()

    def exit(self):
        """The user leaves the module."""
        self.panel.disconnect()

    def onApplyButton(self, checked=False):
        """Start the worker on the chosen frame; the models enter the scene when they are complete."""
        from CardiacLib.mrml.nodes.views import center_3d_views

        chosen = self.logic.getParameterNode()  # stays valid when the module is left during the run
        segmentationNode, name, output = chosen.inputSegmentation, chosen.outputName, chosen.mesh
        helix = (chosen.helixEndo, chosen.helixEpi) if chosen.fibres else None
        run = (chosen.frame, chosen.edgeLength, chosen.rvWallThickness, helix)
        run = (*run, chosen.motion, chosen.alignSlices, chosen.valvePoints)

        def addResult(found):
            models = self.logic.addResult(segmentationNode, found, name, output)
            chosen.mesh = models["VOLUME"]
            center_3d_views()
            return _("Done: {count} models.").format(count=len(models) - 1)

        self.panel.start(lambda: self.logic.makeRequest(segmentationNode, *run), addResult)

    def _reason(self, parameters):
        from CardiacLib.mrml.nodes.sequences import sequence_of

        if not parameters.inputSegmentation:
            return _("Choose a segmentation first.")
        if parameters.motion and sequence_of(parameters.inputSegmentation)[1] is None:
            return _("The motion needs a segmentation of all frames: segment a cine, or take the tick away.")
        return ""

    def _onParametersChanged(self, parameters):
        from CardiacLib.mrml.panel.controls import show_output
        from CardiacLib.mrml.panel.results import result_of

        output = parameters.mesh if parameters else None
        show_output(self.ui, output, {"resultLabel": "summary"}, self._buttons, _)
        self._frames.update(result_of(parameters.inputSegmentation if parameters else None))
        self._propagation.update(parameters)
        self._export.update(parameters)


class BiVMeshLogic(ScriptedLoadableModuleLogic):
    """Meshing of a segmentation that is in the scene; works without the panel and without a window."""

    def getParameterNode(self):
        """The scene's parameter node of this module."""
        return BiVMeshParameterNode(super().getParameterNode())

    def buildMesh(
        self,
        segmentationNode,
        frame: MeshFrame = MeshFrame.END_DIASTOLE,
        edgeLength: float | None = None,
        rvWallThickness: float = DEFAULT_RV_WALL_MM,
        name: str = "",
        progress: Callable[[float, str], None] = lambda fraction, message: None,
        helixDegrees: tuple[float, float] | None = DEFAULT_HELIX_DEG,
        motion: bool = False,
        alignSlices: bool = False,
        meshNode=None,
        valvePoints=None,
    ) -> dict[str, object]:
        """Mesh one frame in a worker process, wait, and add the mesh to the scene.

        Args:
            segmentationNode: a segmentation, or the proxy of a segmentation sequence.
            frame: which frame of a sequence.
            edgeLength: of the tetrahedra, mm; None: 1.8, less where the wall is thin, as on the command line.
            rvWallThickness: thickness given to the right ventricular wall, mm.
            name: start of the names of new models; made from the segmentation's name if empty.
            progress: called with (fraction, message); may raise CardiacLib.errors.Cancelled.
            helixDegrees: angle of the fibres at the endocardium and the epicardium; None for a mesh without fibres.
            motion: carry the mesh over all frames; its surfaces then move in the segmentation's sequence browser.
            alignSlices: move slices that breath-holds displaced back into line first.
            meshNode: tetrahedra of an earlier result to update in place, with its models; None makes new nodes.
            valvePoints: a point list of Cardiac Landmarks: the base is then the plane of the valves.

        Returns:
            nodes by name: models of the patches EPI, ENDO_LV, ENDO_RV, BASE, VOLUME, FIBRES, and the table QUALITY.

        Raises:
            CardiacLib.errors.InputError: the segmentation cannot be meshed; the scene is unchanged.
        """
        from CardiacLib.mrml.panel.module_panel import whole_scene_change
        from CardiacLib.mrml.panel.processes import run_blocking

        options = (edgeLength, rvWallThickness, helixDegrees, motion, alignSlices, valvePoints)
        found = run_blocking(self.makeRequest(segmentationNode, frame, *options), progress)
        with whole_scene_change():
            return self.addResult(segmentationNode, found, name, meshNode)

    def makeRequest(self, node, frame, edge, rvWall, helix=DEFAULT_HELIX_DEG, motion=False, align=False, valves=None):
        """The worker's job for one frame of a segmentation in the scene, or for its motion from that frame on."""
        from BiVMeshLib.mrml.motion import mesh_options, mesh_request, valve_points_of
        from BiVMeshLib.mrml.propagation import known_phase
        from CardiacLib.mrml.nodes.segmentations import labels_from_node
        from CardiacSegLib.mrml.result import frame_number

        labels = labels_from_node(node)
        points = None if valves is None else valve_points_of(valves)
        number = frame_number(node, labels, frame.value)
        options = mesh_options(edge, rvWall, helix, align)
        return mesh_request(labels, number, options, motion, points, known_phase(node))

    def propagate(
        self,
        node,
        volume=None,
        frame: MeshFrame = MeshFrame.END_DIASTOLE,
        start: int = -1,
        base: int = -1,
        progress: Callable[[float, str], None] = lambda fraction, message: None,
        output=None,
        valvePoints=None,
    ):
        """Carry a slice's labels through its images, wait: BiVMeshLib.mrml.propagation; returns a segmentation node.

        ``output`` is that of an earlier call, to be updated in place; None makes a new node. ``valvePoints``, a point
        list of Cardiac Landmarks, tell the base where ``base`` is -1.
        """
        from BiVMeshLib.mrml.propagation import phase_of, propagation_to_scene
        from CardiacLib.mrml.panel.processes import run_blocking

        request = self.makePropagationRequest(node, volume, frame, start, base, valvePoints)
        return propagation_to_scene(run_blocking(request, progress), node, output, _, phase_of(request))

    def makePropagationRequest(self, node, volume, frame, start, base, valves=None):
        """The worker's job: BiVMeshLib.mrml.propagation.propagation_request."""
        from BiVMeshLib.mrml.propagation import propagation_request
        from CardiacSegLib.mrml.result import frame_number

        return propagation_request(
            node, volume, lambda labels: frame_number(node, labels, frame.value), start, base, valves
        )

    def addResult(self, segmentationNode, found, name: str = "", meshNode=None) -> dict[str, object]:
        """Add a CardiacLib.types.bivmesh BiVMesh or MovingMesh: BiVMeshLib.mrml.motion.mesh_result_to_scene."""
        from BiVMeshLib.mrml.motion import mesh_result_to_scene

        return mesh_result_to_scene(found, segmentationNode, name, meshNode, _)

    def exportMesh(self, modelNode, folder: str | Path, formats: str) -> None:
        """Write a mesh of the scene in formats separated by commas: BiVMeshLib.mrml.export.export_model."""
        from BiVMeshLib.mrml.export import export_model

        export_model(modelNode, folder, formats)


class BiVMeshTest(ScriptedLoadableModuleTest):
    """Self test: meshes the end-diastolic labels of a small phantom by the logic, as a script would."""

    def runTest(self):
        """Called by Slicer's test runner and by Reload and Test."""
        slicer.mrmlScene.Clear()
        self.test_buildMesh()

    def test_buildMesh(self):
        """The mesh of the phantom at end-diastole arrives as models and a table."""
        from CardiacLib.mrml.nodes.segmentations import labels_to_scene
        from CardiacLib.phantom import PhantomOptions, make_phantom

        segmentationNode = labels_to_scene(make_phantom(PhantomOptions.small()).labels, "labels")
        models = BiVMeshLogic().buildMesh(segmentationNode)
        self.assertEqual(set(models), {"EPI", "ENDO_LV", "ENDO_RV", "BASE", "VOLUME", "FIBRES", "QUALITY"})
        self.assertGreater(models["VOLUME"].GetMesh().GetNumberOfCells(), 1000)
