"""CardiacSeg: a Slicer module that labels the ventricles on every frame of a short-axis cine and measures them.

The panel and the logic only move values between the scene and the worker; the work is in CardiacSegLib, which
runs as well without Slicer.
"""

import enum
from collections.abc import Callable
from typing import Annotated, NamedTuple

import slicer
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

DEFAULT_BUNDLE = "cineheart_sax"
DEVICES = ("auto", "cpu", "cuda", "mps")
BACKENDS = ("auto", "torch", "openvino")


class CardiacSeg(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Cardiac Segmentation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        self.parent.dependencies = ["Sequences", "Segmentations"]
        self.parent.contributors = ["CineHeart contributors"]
        self.parent.helpText = _(
            "Labels the left ventricle, its myocardium and the right ventricle on every frame of a short-axis cine "
            "cardiac MR and measures volumes, ejection fraction and mass. For research use only."
        )
        self.parent.acknowledgementText = _(
            "The default network was trained on the ACDC data set (Bernard et al., IEEE TMI 2018); its weights carry "
            "that data set's licence, CC BY-NC-SA 4.0: not for commercial use."
        )


class FrameChoice(enum.Enum):
    """Which frames of the cine are segmented."""

    ALL = "all"
    SHOWN = "shown"

    @staticmethod
    def label(choice: "FrameChoice") -> str:
        """The text that the panel shows for a choice."""
        return {FrameChoice.ALL: _("All frames"), FrameChoice.SHOWN: _("Only the frame that is shown")}[choice]


@parameterNodeWrapper
class CardiacSegParameterNode:
    """The panel's choices, saved with the scene."""

    inputVolume: vtkMRMLScalarVolumeNode
    frames: FrameChoice = FrameChoice.ALL
    bundle: Annotated[str, Choice([DEFAULT_BUNDLE])] = DEFAULT_BUNDLE
    device: Annotated[str, Choice(list(DEVICES))] = DEVICES[0]
    backend: Annotated[str, Choice(list(BACKENDS))] = BACKENDS[0]
    outputName: str = ""


class SegmentationResult(NamedTuple):
    """The segmentation node; for a cine also the nodes of tables and chart by name, and the function they show."""

    segmentation: object
    tables: dict[str, object]
    function: object | None


class CardiacSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
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
        panelWidget = slicer.util.loadUI(self.resourcePath("UI/CardiacSeg.ui"))
        self.layout.addWidget(panelWidget)
        self.ui = slicer.util.childWidgetVariables(panelWidget)
        panelWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = CardiacSegLogic()
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
        """Use the scene's parameter node, with the first volume as input if none is chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            firstVolume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if firstVolume:
                self._parameterNode.inputVolume = firstVolume

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
        """Start the worker on the chosen cine; the result enters the scene when it is complete."""
        chosen = self._parameterNode
        volumeNode, name = chosen.inputVolume, chosen.outputName

        def makeRequest():
            from CardiacLib.mrml.dependencies import ensure_dependencies

            ensure_dependencies(self.moduleName)
            return self.logic.makeRequest(volumeNode, chosen.frames, chosen.bundle, chosen.device, chosen.backend)

        def addResult(labels):
            result = self.logic.addResult(volumeNode, labels, name)
            self.ui.resultLabel.text = self.logic.describe(result)
            return _("Done: {name}").format(name=result.segmentation.GetName())

        self.panel.start(makeRequest, addResult)

    def onCancelButton(self, checked=False):
        """Stop the worker."""
        self.panel.cancel()

    def _updateApply(self, caller=None, event=None):
        if self.panel is None:
            return
        hasInput = self._parameterNode is not None and self._parameterNode.inputVolume is not None
        self.panel.set_ready("" if hasInput else _("Choose a short-axis cine first."))


class CardiacSegLogic(ScriptedLoadableModuleLogic):
    """Segmentation of a cine that is in the scene; works without the panel and without a window."""

    def getParameterNode(self):
        """The scene's parameter node of this module, with typed access."""
        return CardiacSegParameterNode(super().getParameterNode())

    def segmentSequence(
        self,
        volumeNode,
        frames: FrameChoice = FrameChoice.ALL,
        bundle: str = DEFAULT_BUNDLE,
        device: str = DEVICES[0],
        name: str = "",
        progress: Callable[[float, str], None] = lambda fraction, message: None,
        backend: str = BACKENDS[0],
    ) -> SegmentationResult:
        """Segment a cine in a worker process, wait, and add the result to the scene.

        Args:
            volumeNode: the proxy volume of a cine's sequence browser (all frames are used), or a single volume.
            frames: all frames, or only the one that is shown.
            bundle: the network.
            device: one of DEVICES.
            name: name of the segmentation; made from the volume's name if empty.
            progress: called with (fraction, message); may raise CardiacLib.errors.Cancelled.
            backend: what runs the network, one of BACKENDS.

        Raises:
            CardiacLib.errors.InputError: the volume cannot be used; the scene is unchanged.
        """
        from CardiacLib.mrml.panels import whole_scene_change
        from CardiacLib.mrml.processes import run_blocking

        labels = run_blocking(self.makeRequest(volumeNode, frames, bundle, device, backend), progress)
        with whole_scene_change():
            return self.addResult(volumeNode, labels, name)

    def makeRequest(self, volumeNode, frames: FrameChoice, bundle: str, device: str, backend: str = BACKENDS[0]):
        """The worker's job for a volume in the scene."""
        from CardiacLib.mrml.cines import cine_from_node
        from CardiacLib.mrml.processes import JobRequest
        from CardiacLib.mrml.sequences import sequence_of

        cine = cine_from_node(volumeNode)
        if frames is FrameChoice.SHOWN and cine.n_frames > 1:
            shown = sequence_of(volumeNode)[0].GetSelectedItemNumber()
            cine = cine.with_changes(frames=cine.frames[shown : shown + 1], times_ms=cine.times_ms[shown : shown + 1])
        options = {"bundle": bundle, "device": device, "backend": backend}
        return JobRequest("CardiacSegLib", "segment", {"cine": cine}, options)

    def addResult(self, volumeNode, labels, name: str = "") -> SegmentationResult:
        """Add labels as a segmentation (a sequence in the cine's own browser) and, for a cine, its measurements."""
        from CardiacLib.mrml.panels import require_in_scene
        from CardiacLib.mrml.segmentations import labels_to_scene
        from CardiacLib.mrml.sequences import sequence_of
        from CardiacLib.mrml.tables import function_to_scene
        from CardiacSegLib.function import measure

        require_in_scene(volumeNode, _("The cine"))
        name = name or _("{name} segmentation").format(name=volumeNode.GetName())
        isCine = len(labels.labels) > 1
        browser, _sequence = sequence_of(volumeNode)
        segmentation = labels_to_scene(labels, name, browser=browser, volume=volumeNode)
        if not isCine:
            return SegmentationResult(segmentation, {}, None)
        function = measure(labels)
        return SegmentationResult(segmentation, function_to_scene(function.to_dict(), name), function)

    @staticmethod
    def describe(result: SegmentationResult) -> str:
        """The measurements of a result in one line, as the panel shows them."""
        if result.function is None:
            return _("One frame was segmented; volumes over the cycle need all frames.")

        def shown(value, unit):
            return "-" if value is None else f"{value:.0f} {unit}"

        function = result.function
        return _("LV: EDV {edv}, ESV {esv}, EF {ef}, mass {mass}. RV: EDV {rvEdv}, EF {rvEf}.").format(
            edv=shown(function.lv_edv_ml, "ml"),
            esv=shown(function.lv_esv_ml, "ml"),
            ef=shown(function.lv_ef_percent, "%"),
            mass=shown(function.lv_mass_g, "g"),
            rvEdv=shown(function.rv_edv_ml, "ml"),
            rvEf=shown(function.rv_ef_percent, "%"),
        )


class CardiacSegTest(ScriptedLoadableModuleTest):
    """Self test: segments a small phantom by the logic, as a script would."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Called by Slicer's test runner and by Reload and Test."""
        self.setUp()
        self.test_segmentSequence()

    def test_segmentSequence(self):
        """All frames of the phantom are labelled, in the cine's own browser."""
        from CardiacLib.mrml.cines import cine_to_scene
        from CardiacLib.mrml.dependencies import missing_requirements
        from CardiacLib.phantom import PhantomOptions, make_phantom

        if missing_requirements():
            self.skipTest("Python packages of the worker are not installed.")
        cine = make_phantom(PhantomOptions.small()).cines["sax"]
        browser, volumeNode = cine_to_scene(cine, "cine")
        result = CardiacSegLogic().segmentSequence(volumeNode, device="cpu")
        self.assertEqual(result.segmentation.GetSegmentation().GetNumberOfSegments(), 3)
        self.assertEqual(browser.GetNumberOfSynchronizedSequenceNodes(True), 2)
        self.assertGreater(result.function.lv_edv_ml, 0)
