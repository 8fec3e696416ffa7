"""CardiacLandmarks: a Slicer module that finds ten valve points on every frame of the long-axis cines and measures the
motion of the valve annuli.

The panel and the logic only move values between the scene and the worker; the work is in CardiacLandmarksLib, which
runs as well without Slicer. CardiacLib comes with the CardiacSeg module of the same extension.
"""

from collections.abc import Callable, Mapping
from typing import Annotated

import slicer
from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

DEFAULT_BUNDLE = "cineheart_lax_landmarks"
BUNDLES = (DEFAULT_BUNDLE, "valve_landmarks")
DEVICES = ("auto", "cpu", "cuda", "mps")
BACKENDS = ("auto", "torch", "openvino")
VIEWS = {"2ch": "cine2ch", "3ch": "cine3ch", "4ch": "cine4ch"}


class CardiacLandmarks(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Cardiac Landmarks")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        self.parent.dependencies = ["CardiacSeg", "Sequences", "Markups"]
        self.parent.contributors = ["CineHeart contributors"]
        self.parent.helpText = _(
            "Finds ten points of the mitral, aortic and tricuspid valve on every frame of the 2CH, 3CH and 4CH cines "
            "and measures the motion of the annuli (MAPSE, TAPSE, diameters). For research use only."
        )
        self.parent.acknowledgementText = _(
            "The points are those of Kerfoot et al., STACOM 2020, doi 10.1007/978-3-030-68107-4_15."
        )


@parameterNodeWrapper
class CardiacLandmarksParameterNode:
    """The panel's choices, saved with the scene; results stay with the point lists (CardiacLib.mrml.panel.results)."""

    cine2ch: vtkMRMLScalarVolumeNode
    cine3ch: vtkMRMLScalarVolumeNode
    cine4ch: vtkMRMLScalarVolumeNode
    bundle: Annotated[str, Choice(list(BUNDLES))] = DEFAULT_BUNDLE
    device: Annotated[str, Choice(list(DEVICES))] = DEVICES[0]
    backend: Annotated[str, Choice(list(BACKENDS))] = BACKENDS[0]
    align: bool = False
    points: vtkMRMLMarkupsFiducialNode
    outputName: str = ""


class CardiacLandmarksWidget(ScriptedLoadableModuleWidget):
    """The panel: hands buttons to the logic; the wiring is CardiacLib.mrml.panel.module_panel.ModulePanel."""

    logic = panel = None

    def setup(self):
        """Load the panel; called once, when the module is first shown."""
        from CardiacLib.mrml.nodes.markups import VALVE_ATTRIBUTE
        from CardiacLib.mrml.nodes.views import show_chart, show_table
        from CardiacLib.mrml.panel.controls import ResultButtons
        from CardiacLib.mrml.panel.module_panel import ModulePanel, load_ui
        from CardiacLib.mrml.panel.networks import NetworkSection

        ScriptedLoadableModuleWidget.setup(self)
        load_ui(self)
        self.ui.outputSelector.addAttribute("vtkMRMLMarkupsFiducialNode", VALVE_ATTRIBUTE, None)
        self.logic = CardiacLandmarksLogic()
        shown = {
            "endDiastoleButton": ("ed", self._showFrame, _("Show the frame in which the annulus is highest.")),
            "endSystoleButton": ("es", self._showFrame, _("Show the frame in which the annulus is nearest the apex.")),
            "measuresButton": ("annulus measures", show_table, _("Show MAPSE, TAPSE, velocities, diameters.")),
            "curvesButton": ("annulus chart", show_chart, _("Plot the motion of the annuli over the cycle.")),
        }
        self._buttons = ResultButtons(self.ui, shown, _("There is no such result: find the points first."))
        self._network = NetworkSection(self, _)
        self.panel = ModulePanel(self, _, {}, self._reason, self._onParametersChanged)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.measureButton.connect("clicked(bool)", self.onMeasureButton)
        self.logic.takeViews(self.panel.parameters)

    def cleanup(self):
        """The module is unloaded or reloaded, or Slicer closes."""
        self.panel.close()

    def enter(self):
        """The user opens the module."""
        self.panel.connect()
        self.logic.takeViews(self.panel.parameters)

    def exit(self):
        """The user leaves the module."""
        self.panel.disconnect()

    def onApplyButton(self, checked=False):
        """Start the worker on the chosen cines; the points enter the scene when they are complete."""
        from CardiacLib.mrml.panel.dependencies import ensure_dependencies

        chosen = self.logic.getParameterNode()  # stays valid when the module is left during the run
        volumes, name, output = self.logic.volumesOf(chosen), chosen.outputName, chosen.points
        run = (chosen.bundle, chosen.device, chosen.backend, chosen.align)

        def makeRequest():
            ensure_dependencies(self.moduleName)
            return self.logic.makeRequest(volumes, *run)

        def addResult(landmarks):
            result = self.logic.addResult(volumes, landmarks, name, output)
            chosen.points = next(iter(result.points.values()))
            return _("Done: points of {count} valves.").format(count=len(result.points))

        self.panel.start(makeRequest, addResult)

    def onMeasureButton(self, checked=False):
        """Measure the points as they are now, after they were edited."""
        from CardiacLib.mrml.panel.module_panel import errors_shown

        with errors_shown():
            self.logic.measureAgain(self.panel.parameters.points, self.logic.volumesOf(self.panel.parameters))
            self.panel.update()
            self.ui.statusLabel.text = _("Measured the points as they are now.")

    def _showFrame(self, frame):
        from CardiacLib.mrml.nodes.sequences import show_frame

        show_frame(self.panel.parameters.points, frame)

    def _reason(self, parameters):
        from CardiacLib.mrml.nodes.sequences import sequence_of
        from CardiacLib.mrml.panel.results import misfit

        volumes = self.logic.volumesOf(parameters).values()
        if not volumes:
            return _("Choose a 2CH, 3CH or 4CH cine first; Cardiac Segmentation loads a study.")
        oneFrame = all(sequence_of(volume)[1] is None for volume in volumes)
        return misfit(parameters.points, volumes, oneFrame, _) or self._network.reason(parameters.bundle)

    def _onParametersChanged(self, parameters):
        from CardiacLib.mrml.panel.controls import set_enabled, show_output

        output = parameters.points if parameters else None
        show_output(self.ui, output, {"resultLabel": "summary", "notesLabel": "notes"}, self._buttons, _)
        self._network.update(parameters)
        tip = _("Measure the points as they are now, after you have moved some.")
        set_enabled(self.ui.measureButton, tip, "" if output else _("There are no points: find them first."))


class CardiacLandmarksLogic(ScriptedLoadableModuleLogic):
    """Valve points of cines that are in the scene; works without the panel and without a window."""

    def getParameterNode(self):
        """The scene's parameter node of this module, with typed access."""
        return CardiacLandmarksParameterNode(super().getParameterNode())

    def findLandmarks(
        self,
        volumes: Mapping[str, object],
        bundle: str = DEFAULT_BUNDLE,
        device: str = DEVICES[0],
        backend: str = BACKENDS[0],
        align: bool = False,
        name: str = "",
        progress: Callable[[float, str], None] = lambda fraction, message: None,
        pointsNode=None,
    ):
        """Find the valve points in a worker process, wait, and add them to the scene.

        Args:
            volumes: view (2ch, 3ch, 4ch) to the proxy volume of that cine's sequence browser, or a single volume.
            bundle: the network.
            device: one of DEVICES.
            backend: what runs the network, one of BACKENDS.
            align: move views of different breath-hold positions together along the LV axis.
            name: start of the names of new nodes; made from the first volume's name if empty.
            progress: called with (fraction, message); may raise CardiacLib.errors.Cancelled.
            pointsNode: a point list of an earlier result to update in place; None makes new nodes.

        Returns:
            CardiacLandmarksLib.mrml.result.LandmarkResult.

        Raises:
            CardiacLib.errors.InputError: the volumes or the network cannot be used; the scene is unchanged.
        """
        from CardiacLib.mrml.panel.module_panel import whole_scene_change
        from CardiacLib.mrml.panel.processes import run_blocking

        found = run_blocking(self.makeRequest(volumes, bundle, device, backend, align), progress)
        with whole_scene_change():
            return self.addResult(volumes, found, name, pointsNode)

    def makeRequest(self, volumes, bundle, device, backend=BACKENDS[0], align=False):
        """The worker's job for volumes in the scene."""
        from CardiacLib.mrml.nodes.cines import cine_from_node, require_all_frames
        from CardiacLib.mrml.panel.processes import JobRequest

        inputs = {}
        for view, volume in volumes.items():
            require_all_frames(volume)
            inputs[f"cine_{view}"] = cine_from_node(volume).with_changes(view=view)
        options = {"bundle": bundle, "device": device, "backend": backend, "align": align}
        return JobRequest("CardiacLandmarksLib", "detect", inputs, options)

    def addResult(self, volumes, landmarks, name: str = "", pointsNode=None):
        """Add Landmarks and their measures: CardiacLandmarksLib.mrml.result.points_to_scene."""
        from CardiacLandmarksLib.mrml.result import points_to_scene

        return points_to_scene(landmarks, volumes, name, pointsNode, _)

    def measureAgain(self, pointsNode, volumes):
        """Measure point lists as they are in the scene, edits included, and update their tables.

        Args:
            pointsNode: one of the point lists of a result.
            volumes: view to volume, as of findLandmarks.
        """
        from CardiacLandmarksLib.mrml.result import measure_again
        from CardiacLib.mrml.panel.module_panel import whole_scene_change

        with whole_scene_change():
            return measure_again(pointsNode, volumes, _)

    @staticmethod
    def takeViews(parameters) -> None:
        """Where no cine is chosen for a view, take the first volume that was read as that view."""
        from CardiacLib.mrml.nodes.cines import VIEW_ATTRIBUTE

        scene = slicer.mrmlScene
        count = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
        volumes = [scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode") for n in range(count)]
        for view, parameter in VIEWS.items():
            own = [volume for volume in volumes if volume.GetAttribute(VIEW_ATTRIBUTE) == view]
            if own and getattr(parameters, parameter) is None:
                setattr(parameters, parameter, own[0])

    @staticmethod
    def volumesOf(parameters) -> dict[str, object]:
        """The chosen volume of each view that has one."""
        chosen = {view: getattr(parameters, parameter) for view, parameter in VIEWS.items()}
        return {view: volume for view, volume in chosen.items() if volume is not None}


class CardiacLandmarksTest(ScriptedLoadableModuleTest):
    """Self test: puts the phantom's own points into the scene by the logic, moves one, and measures."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Called by Slicer's test runner and by Reload and Test."""
        self.setUp()
        self.test_pointsAndMeasures()

    def test_pointsAndMeasures(self):
        """All valves arrive as point lists in the cines' browser; their motion is measured."""
        from CardiacLib.mrml.nodes.cines import cine_to_scene
        from CardiacLib.phantom import PhantomOptions, make_phantom

        phantom = make_phantom(PhantomOptions.small())
        browser, volumes = None, {}
        for view in VIEWS:
            browser, volumes[view] = cine_to_scene(phantom.cines[view], view, browser)
        result = CardiacLandmarksLogic().addResult(volumes, phantom.landmarks)
        self.assertEqual(set(result.points), {"mitral", "aortic", "tricuspid"})
        self.assertEqual(browser.GetNumberOfSynchronizedSequenceNodes(True), 6)
        self.assertAlmostEqual(result.annulus.values()["mapse_mm"], 12.0, delta=1.0)
