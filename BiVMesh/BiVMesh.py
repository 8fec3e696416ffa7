"""BiVMesh: a Slicer module that makes a tagged tetrahedral mesh of both ventricles from one frame's segmentation.

The panel and the logic only move values between the scene and the worker; the work is in BiVMeshLib, which runs as
well without Slicer. CardiacLib comes with the CardiacSeg module of the same extension.
"""

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import slicer
from slicer import vtkMRMLModelNode, vtkMRMLSegmentationNode, vtkMRMLTableNode
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
VIEWS = ("surfaces", "fibres", "region", "aha", "transmural", "apicobasal", "rotational")  # of CardiacLib.mrml.models


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
        self.parent.acknowledgementText = _(
            "The mesher follows isosurface stuffing (Labelle, Shewchuk, SIGGRAPH 2007)."
        )


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
    """The panel's choices and results, saved with the scene."""

    inputSegmentation: vtkMRMLSegmentationNode
    frame: MeshFrame = MeshFrame.END_DIASTOLE
    motion: bool = False
    alignSlices: bool = False
    edgeLength: Annotated[float, WithinRange(1.0, 6.0)] = DEFAULT_EDGE_LENGTH_MM
    rvWallThickness: Annotated[float, WithinRange(1.0, 8.0)] = DEFAULT_RV_WALL_MM
    fibres: bool = True
    helixEndo: Annotated[float, WithinRange(-90.0, 90.0)] = DEFAULT_HELIX_DEG[0]
    helixEpi: Annotated[float, WithinRange(-90.0, 90.0)] = DEFAULT_HELIX_DEG[1]
    outputName: str = ""
    mesh: vtkMRMLModelNode
    qualityTable: vtkMRMLTableNode
    summary: str = ""
    view: Annotated[str, Choice(list(VIEWS))] = VIEWS[0]
    exportFormats: str = "vtu,vtp"
    exportFolder: Path = Path.home() / "CineHeart mesh"


class BiVMeshWidget(ScriptedLoadableModuleWidget):
    """The panel: hands buttons to the logic; the wiring is CardiacLib.mrml.panels.ModulePanel."""

    logic = panel = None

    def setup(self):
        """Load the panel; called once, when the module is first shown."""
        from BiVMeshLib.exporters import FORMATS
        from CardiacLib.mrml.panels import CheckList, ModulePanel, ResultButtons
        from CardiacLib.mrml.views import show_table

        ScriptedLoadableModuleWidget.setup(self)
        panelWidget = slicer.util.loadUI(self.resourcePath("UI/BiVMesh.ui"))
        self.layout.addWidget(panelWidget)
        self.ui = slicer.util.childWidgetVariables(panelWidget)
        panelWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = BiVMeshLogic()
        shown = {
            "showButton": ("mesh", self._showMesh, _("Show the mesh as chosen.")),
            "qualityButton": ("qualityTable", show_table, _("Show every measure of the mesh's quality.")),
        }
        self._buttons = ResultButtons(self.ui, shown, _("There is no mesh yet: press Apply."))
        self._formats = CheckList(self.ui.formatsList, FORMATS, self._onFormatsChanged)
        self.panel = ModulePanel(
            self, _, {"inputSegmentation": "vtkMRMLSegmentationNode"}, self._reason, self._onParametersChanged
        )
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.cancelButton.connect("clicked(bool)", lambda checked=False: self.panel.cancel())
        self.ui.exportButton.connect("clicked(bool)", self.onExportButton)

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
        from CardiacLib.mrml.summaries import mesh_text
        from CardiacLib.mrml.views import center_3d_views

        chosen = self.logic.getParameterNode()  # stays valid when the module is left during the run
        segmentationNode, name = chosen.inputSegmentation, chosen.outputName
        helix = (chosen.helixEndo, chosen.helixEpi) if chosen.fibres else None
        run = (chosen.frame, chosen.edgeLength, chosen.rvWallThickness, helix, chosen.motion, chosen.alignSlices)

        def addResult(found):
            models = self.logic.addResult(segmentationNode, found, name)
            chosen.mesh, chosen.qualityTable = models["VOLUME"], models["QUALITY"]
            chosen.summary = mesh_text(found, _)
            center_3d_views()
            return _("Done: {count} models.").format(count=len(models) - 1)

        self.panel.start(lambda: self.logic.makeRequest(segmentationNode, *run), addResult)

    def onExportButton(self, checked=False):
        """Write the last mesh."""
        from CardiacLib.mrml.panels import errors_shown

        chosen = self.panel.parameters
        with errors_shown():
            self.logic.exportMesh(chosen.mesh, chosen.exportFolder, chosen.exportFormats)
            self.ui.statusLabel.text = _("Written to {folder}").format(folder=chosen.exportFolder)

    def _showMesh(self, model):
        from CardiacLib.mrml.models import show_mesh

        show_mesh(model, self.panel.parameters.view)

    def _reason(self, parameters):
        from CardiacLib.mrml.sequences import sequence_of

        if not parameters.inputSegmentation:
            return _("Choose a segmentation first.")
        if parameters.motion and sequence_of(parameters.inputSegmentation)[1] is None:
            return _("The motion needs a segmentation of all frames: segment a cine, or take the tick away.")
        return ""

    def _onFormatsChanged(self, names):
        if self.panel and self.panel.parameters:
            self.panel.parameters.exportFormats = ",".join(names)

    def _onParametersChanged(self, parameters):
        from CardiacLib.mrml.panels import set_enabled

        self.ui.resultLabel.text = parameters.summary if parameters else ""
        self._buttons.update(parameters)
        if parameters:
            self._formats.check(parameters.exportFormats.split(","))
            missing = "" if parameters.exportFormats else _("Tick at least one format.")
            reason = missing if parameters.mesh else _("There is no mesh yet: press Apply.")
            set_enabled(self.ui.exportButton, _("Write the last mesh in the chosen formats."), reason)


class BiVMeshLogic(ScriptedLoadableModuleLogic):
    """Meshing of a segmentation that is in the scene; works without the panel and without a window."""

    def getParameterNode(self):
        """The scene's parameter node of this module."""
        return BiVMeshParameterNode(super().getParameterNode())

    def buildMesh(
        self,
        segmentationNode,
        frame: MeshFrame = MeshFrame.END_DIASTOLE,
        edgeLength: float = DEFAULT_EDGE_LENGTH_MM,
        rvWallThickness: float = DEFAULT_RV_WALL_MM,
        name: str = "",
        progress: Callable[[float, str], None] = lambda fraction, message: None,
        helixDegrees: tuple[float, float] | None = DEFAULT_HELIX_DEG,
        motion: bool = False,
        alignSlices: bool = False,
    ) -> dict[str, object]:
        """Mesh one frame in a worker process, wait, and add the mesh to the scene.

        Args:
            segmentationNode: a segmentation, or the proxy of a segmentation sequence.
            frame: which frame of a sequence.
            edgeLength: of the tetrahedra, mm.
            rvWallThickness: thickness given to the right ventricular wall, mm.
            name: start of the models' names; made from the segmentation's name if empty.
            progress: called with (fraction, message); may raise CardiacLib.errors.Cancelled.
            helixDegrees: angle of the fibres at the endocardium and the epicardium; None for a mesh without fibres.
            motion: carry the mesh over all frames; its surfaces then move in the segmentation's sequence browser.
            alignSlices: move slices that breath-holds displaced back into line first.

        Returns:
            nodes by name: models of the patches EPI, ENDO_LV, ENDO_RV, BASE, VOLUME, FIBRES, and the table QUALITY.

        Raises:
            CardiacLib.errors.InputError: the segmentation cannot be meshed; the scene is unchanged.
        """
        from CardiacLib.mrml.panels import whole_scene_change
        from CardiacLib.mrml.processes import run_blocking

        request = self.makeRequest(
            segmentationNode, frame, edgeLength, rvWallThickness, helixDegrees, motion, alignSlices
        )
        found = run_blocking(request, progress)
        with whole_scene_change():
            return self.addResult(segmentationNode, found, name)

    def makeRequest(
        self, segmentationNode, frame, edge, rvWall, helix=DEFAULT_HELIX_DEG, motion=False, alignSlices=False
    ):
        """The worker's job for one frame of a segmentation in the scene, or for its motion from that frame on."""
        from CardiacLib.mrml.motion import mesh_request
        from CardiacLib.mrml.segmentations import labels_from_node

        labels = labels_from_node(segmentationNode)
        options = {"edge_length_mm": edge, "rv_wall_mm": rvWall, "align_slices": alignSlices}
        options["fibres"] = helix is not None
        if helix is not None:
            options["fibre_angles"] = {"alpha_endo": helix[0], "alpha_epi": helix[1]}
        return mesh_request(labels, self._frameNumber(segmentationNode, labels, frame), options, motion)

    def addResult(self, segmentationNode, found, name: str = "") -> dict[str, object]:
        """Add a CardiacLib.bivmesh BiVMesh or MovingMesh; the latter's surfaces in the segmentation's browser."""
        from CardiacLib.mrml.motion import mesh_result_to_scene
        from CardiacLib.mrml.panels import require_in_scene
        from CardiacLib.mrml.sequences import sequence_of

        require_in_scene(segmentationNode, _("The segmentation"))
        name = name or _("{name} mesh").format(name=segmentationNode.GetName())
        return mesh_result_to_scene(found, name, sequence_of(segmentationNode)[0])

    def exportMesh(self, modelNode, folder: str | Path, formats: str) -> None:
        """Write a mesh of the scene.

        Args:
            modelNode: its tetrahedra, VOLUME of addResult.
            folder: made if it is not there; files of the same names are replaced.
            formats: names of BiVMeshLib.exporters.FORMATS, separated by commas.

        Raises:
            CardiacLib.errors.InputError: the model is no such mesh, or a format is unknown.
        """
        from BiVMeshLib.exporters import choose_formats, export, write_quality
        from CardiacLib.files import atomic_directory
        from CardiacLib.mrml.models import mesh_from_node

        mesh = mesh_from_node(modelNode)
        with atomic_directory(folder) as part:
            export(mesh, part, choose_formats(formats))
            write_quality(mesh, part / "quality.json")

    @staticmethod
    def _frameNumber(segmentationNode, labels, frame: MeshFrame) -> int:
        if len(labels.labels) == 1:
            return 0
        if frame is MeshFrame.SHOWN:
            from CardiacLib.mrml.sequences import sequence_of

            return sequence_of(segmentationNode)[0].GetSelectedItemNumber()
        from CardiacLib.labels import LV
        from CardiacSegLib.function import end_frames

        return end_frames(labels.volume_ml(LV))[0 if frame is MeshFrame.END_DIASTOLE else 1]


class BiVMeshTest(ScriptedLoadableModuleTest):
    """Self test: meshes the end-diastolic labels of a small phantom by the logic, as a script would."""

    def runTest(self):
        """Called by Slicer's test runner and by Reload and Test."""
        slicer.mrmlScene.Clear()
        self.test_buildMesh()

    def test_buildMesh(self):
        """The mesh of the phantom at end-diastole arrives as models and a table."""
        from CardiacLib.mrml.segmentations import labels_to_scene
        from CardiacLib.phantom import PhantomOptions, make_phantom

        segmentationNode = labels_to_scene(make_phantom(PhantomOptions.small()).labels, "labels")
        models = BiVMeshLogic().buildMesh(segmentationNode)
        self.assertEqual(set(models), {"EPI", "ENDO_LV", "ENDO_RV", "BASE", "VOLUME", "FIBRES", "QUALITY"})
        self.assertGreater(models["VOLUME"].GetMesh().GetNumberOfCells(), 1000)
