"""BiVMesh: a Slicer module that makes a tagged tetrahedral mesh of both ventricles from one frame's segmentation.

The panel and the logic only move values between the scene and the worker; the work is in BiVMeshLib, which runs as
well without Slicer. CardiacLib comes with the CardiacSeg module of the same extension. Slicer puts the
folders of all modules on the path before it reads the first, so its types are there while this file is read.
"""

import enum
from collections.abc import Callable
from dataclasses import replace
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

from CardiacLib.types.bivmesh import MESH_VIEWS
from CardiacLib.types.choices import PROPAGATION_BUNDLE
from CardiacLib.types.mesh_options import EDGE_MM, FibreOptions, MeshOptions


class BiVMesh(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        from CardiacLib.resources import documentation_link

        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Biventricular Mesh")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        self.parent.dependencies = ["CardiacSeg", "Sequences", "Segmentations", "Markups", "Models"]
        self.parent.contributors = ["CineHeart contributors (CineHeart)"]
        self.parent.helpText = _(
            "Makes a watertight tetrahedral mesh of both ventricles, with named surfaces, regions and fibres, from a "
            "segmentation of the left ventricle, its myocardium and the right ventricle. For research use only."
        )
        self.parent.helpText += documentation_link("BiVMesh")
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
    valveRings: bool = False
    propagationVolume: vtkMRMLScalarVolumeNode
    startSlice: Annotated[int, WithinRange(-1, 199)] = -1
    baseSlice: Annotated[int, WithinRange(-1, 199)] = -1
    propagated: vtkMRMLSegmentationNode
    alignSlices: bool = False
    automaticEdgeLength: bool = True
    edgeLength: Annotated[float, WithinRange(1.0, 6.0)] = EDGE_MM
    rvWallThickness: Annotated[float, WithinRange(1.0, 8.0)] = MeshOptions.rv_wall_mm
    fibres: bool = True
    helixEndo: Annotated[float, WithinRange(-90.0, 90.0)] = FibreOptions.alpha_endo
    helixEpi: Annotated[float, WithinRange(-90.0, 90.0)] = FibreOptions.alpha_epi
    mesh: vtkMRMLModelNode
    outputName: str = ""
    view: Annotated[str, Choice(list(MESH_VIEWS))] = MESH_VIEWS[0]
    exportFormats: str = "vtu,vtp"
    exportFolder: Path = Path.home() / "CineHeart mesh"


class BiVMeshWidget(ScriptedLoadableModuleWidget):
    """Hands Slicer's calls on to BiVMeshLib.mrml.panel.MeshPanel."""

    logic = panel = None

    def setup(self):
        """Load the panel; called once, when the module is first shown."""
        from BiVMeshLib.mrml.panel import MeshPanel
        from CardiacSeg import worker

        ScriptedLoadableModuleWidget.setup(self)
        self.logic = BiVMeshLogic()
        self.panel = MeshPanel(self, worker())

    def cleanup(self):
        """The module is unloaded or reloaded, or Slicer closes."""
        self.panel.close()

    def enter(self):
        """The user opens the module."""
        self.panel.connect()

    def exit(self):
        """The user leaves the module."""
        self.panel.disconnect()

    def onReload(self):
        """A developer presses Reload: the libraries are read again too."""
        from CardiacSeg import reloadAll

        reloadAll(self.moduleName)

    def onApplyButton(self, checked=False):
        """Start the worker on the chosen frame."""
        self.panel.apply()


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
        rvWallThickness: float = MeshOptions.rv_wall_mm,
        name: str = "",
        progress: Callable[[float, str], None] = lambda fraction, message: None,
        helixDegrees: tuple[float, float] | None = (FibreOptions.alpha_endo, FibreOptions.alpha_epi),
        motion: bool = False,
        alignSlices: bool = False,
        meshNode=None,
        valvePoints=None,
        valveRings: bool = False,
    ):
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
            alignSlices: move slices that breath-holds displaced back into line in any case, not only where it helps.
            meshNode: tetrahedra of an earlier result to update in place, with its models; None makes new nodes.
            valvePoints: a point list of Cardiac Landmarks: the base is then the plane of the valves.
            valveRings: annuli of the valves as rings, the base split into them and muscle; needs the valve points.

        Returns:
            nodes by name: models of the patches EPI, ENDO_LV, ENDO_RV, BASE, VOLUME, FIBRES, the table QUALITY, and
            the rings MITRAL, AORTIC, TRICUSPID.

        Raises:
            CardiacLib.errors.InputError: the segmentation cannot be meshed; the scene is unchanged.
        """
        from BiVMeshLib.mrml.choices import mesh_options
        from BiVMeshLib.result import MeshChoice

        options = mesh_options(
            edge_mm=edgeLength, rv_wall_mm=rvWallThickness, helix_deg=helixDegrees, align_slices=alignSlices
        )
        choice = MeshChoice(frame.value, options, motion, valve_rings=valveRings)
        request = self.makeRequest(segmentationNode, choice, valvePoints)
        return self._run(request, progress, lambda found: self.addResult(segmentationNode, found, name, meshNode))

    def makeRequest(self, node, choice, valvePoints=None):
        """The worker's job for a BiVMeshLib.result.MeshChoice, whose frame may be the one that is ``shown``."""
        from BiVMeshLib.mrml.motion import mesh_request, valve_points_of
        from BiVMeshLib.mrml.propagation import known_phase
        from CardiacLib.mrml.nodes.segmentations import labels_from_node
        from CardiacSegLib.mrml.result import frame_number

        labels = labels_from_node(node)
        points = None if valvePoints is None else valve_points_of(valvePoints)
        chosen = replace(choice, frame=frame_number(node, labels, choice.frame))
        return mesh_request(labels, chosen, points, phase=known_phase(node))

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
        acceptLicence: bool = False,
    ):
        """Carry a slice's labels through its images, wait: BiVMeshLib.mrml.propagation; returns a segmentation node.

        ``output`` is that of an earlier call, to be updated in place; None makes a new node. ``valvePoints``, a point
        list of Cardiac Landmarks, tell the base where ``base`` is -1. ``acceptLicence`` accepts the licence of the
        networks' weights; else the user is asked once, if there is one.
        """
        from BiVMeshLib.mrml.choices import propagate_choice
        from BiVMeshLib.mrml.propagation import phase_of, propagation_to_scene
        from CardiacLib.mrml.panel.consent import require_licence

        require_licence(PROPAGATION_BUNDLE, acceptLicence)
        request = self.makePropagationRequest(node, volume, frame, propagate_choice(start, base), valvePoints)
        phase = phase_of(request)
        return self._run(request, progress, lambda found: propagation_to_scene(found, node, phase=phase, output=output))

    def makePropagationRequest(self, node, volume, frame: MeshFrame, choice, valvePoints=None):
        """The worker's job: BiVMeshLib.mrml.propagation.propagation_request."""
        from BiVMeshLib.mrml.propagation import propagation_request
        from CardiacSegLib.mrml.result import frame_number

        return propagation_request(
            node, volume, lambda labels: frame_number(node, labels, frame.value), choice, valvePoints
        )

    def addResult(self, segmentationNode, found, name: str = "", meshNode=None):
        """Add a BiVMeshLib.result.MeshResult: BiVMeshLib.mrml.motion.mesh_result_to_scene."""
        from BiVMeshLib.mrml.motion import mesh_result_to_scene

        return mesh_result_to_scene(found, segmentationNode, name=name, output=meshNode)

    def exportMesh(self, modelNode, folder: str | Path, formats: str) -> None:
        """Write a mesh of the scene in formats separated by commas, and wait: BiVMeshLib.mrml.export."""
        from BiVMeshLib.mrml.export import export_request

        self._run(export_request(modelNode, folder, formats), lambda *_: None, lambda nothing: None)

    @staticmethod
    def _run(request, progress, addFound):
        from CardiacLib.mrml.panel.module_panel import run_and_add
        from CardiacSeg import worker

        return run_and_add(request, addFound, worker=worker(), progress=progress)


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
