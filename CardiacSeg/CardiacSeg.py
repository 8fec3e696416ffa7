"""CardiacSeg: a Slicer module that labels the ventricles on every frame of a short-axis cine and measures them.

The panel and the logic only move values between the scene and the worker; the work is in CardiacSegLib, which
runs as well without Slicer.
"""

import enum
from collections.abc import Callable
from typing import Annotated, NamedTuple

import slicer
from slicer import vtkMRMLPlotChartNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLTableNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

DEFAULT_BUNDLE = "cineheart_sax"
BUNDLES = (DEFAULT_BUNDLE, "ventricular_short_axis_3label")
QUALITIES = ("fast", "best")
DEVICES = ("auto", "cpu", "cuda", "mps")
BACKENDS = ("auto", "torch", "openvino")
PAPILLARY = ("cavity", "myocardium")


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
    """The panel's choices and results, saved with the scene. A height, weight or heart rate of 0 is unknown."""

    inputVolume: vtkMRMLScalarVolumeNode
    frames: FrameChoice = FrameChoice.ALL
    bundle: Annotated[str, Choice(list(BUNDLES))] = DEFAULT_BUNDLE
    quality: Annotated[str, Choice(list(QUALITIES))] = QUALITIES[0]
    device: Annotated[str, Choice(list(DEVICES))] = DEVICES[0]
    backend: Annotated[str, Choice(list(BACKENDS))] = BACKENDS[0]
    papillary: Annotated[str, Choice(list(PAPILLARY))] = PAPILLARY[0]
    heightCm: Annotated[float, WithinRange(0.0, 250.0)] = 0.0
    weightKg: Annotated[float, WithinRange(0.0, 300.0)] = 0.0
    heartRate: Annotated[float, WithinRange(0.0, 250.0)] = 0.0
    patientOf: vtkMRMLScalarVolumeNode
    outputName: str = ""
    segmentation: vtkMRMLSegmentationNode
    volumesChart: vtkMRMLPlotChartNode
    ratesChart: vtkMRMLPlotChartNode
    measurementsTable: vtkMRMLTableNode
    segmentsTable: vtkMRMLTableNode
    qualityTable: vtkMRMLTableNode
    endDiastole: int = -1
    endSystole: int = -1
    summary: str = ""
    light: str = ""
    notes: str = ""


class SegmentationResult(NamedTuple):
    """The segmentation node; for a whole cine also the nodes of tables and charts by name, and what they show."""

    segmentation: object
    tables: dict[str, object]
    function: object | None
    quality: object | None = None
    notes: tuple[str, ...] = ()


class CardiacSegWidget(ScriptedLoadableModuleWidget):
    """The panel: hands buttons to the logic; the wiring is CardiacLib.mrml.panels.ModulePanel."""

    logic = None
    panel = None

    def setup(self):
        """Load the panel; called once, when the module is first shown."""
        from CardiacLib.mrml.panels import ModulePanel, ResultButtons
        from CardiacLib.mrml.views import show_chart, show_table

        ScriptedLoadableModuleWidget.setup(self)
        panelWidget = slicer.util.loadUI(self.resourcePath("UI/CardiacSeg.ui"))
        self.layout.addWidget(panelWidget)
        self.ui = slicer.util.childWidgetVariables(panelWidget)
        panelWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = CardiacSegLogic()
        shown = {
            "endDiastoleButton": ("endDiastole", self._showFrame, _("Show the frame of the largest LV volume.")),
            "endSystoleButton": ("endSystole", self._showFrame, _("Show the frame of the smallest LV volume.")),
            "volumesButton": ("volumesChart", show_chart, _("Plot the LV and RV volumes over the cycle.")),
            "ratesButton": ("ratesChart", show_chart, _("Plot how fast the ventricles empty and fill.")),
            "measurementsButton": ("measurementsTable", show_table, _("Show volumes, EF, mass and indices.")),
            "segmentsButton": ("segmentsTable", show_table, _("Show the values of the 17 AHA segments (bull's eye).")),
            "qualityButton": ("qualityTable", show_table, _("Show every finding of quality control.")),
        }
        self._buttons = ResultButtons(self.ui, shown, _("There is none: segment all frames, and see the notes."))
        self.panel = ModulePanel(
            self, _, {"inputVolume": "vtkMRMLScalarVolumeNode"}, self._reason, self._onParametersChanged
        )
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.cancelButton.connect("clicked(bool)", lambda checked=False: self.panel.cancel())

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
        """Start the worker on the chosen cine; the result enters the scene when it is complete."""
        from CardiacLib.mrml.dependencies import ensure_dependencies
        from CardiacLib.mrml.patients import body_of
        from CardiacLib.segmentation import labels_of_part

        chosen = self.logic.getParameterNode()  # stays valid when the module is left during the run
        volumeNode, name = chosen.inputVolume, chosen.outputName
        run = (chosen.frames, chosen.bundle, chosen.device, chosen.backend, chosen.quality)
        measuring = (chosen.papillary, body_of(chosen), chosen.bundle)

        def makeRequest():
            ensure_dependencies(self.moduleName)
            return self.logic.makeRequest(volumeNode, *run)

        def addResult(found):
            return _("Done: {name}").format(name=self._addResult(chosen, volumeNode, found, name, *measuring))

        def addPart(request, frames):
            self._addResult(chosen, volumeNode, labels_of_part(request.inputs["cine"], frames), name, *measuring)
            return _("Cancelled; the frames that were finished are kept.")

        self.panel.start(makeRequest, addResult, addPart)

    def _addResult(self, parameters, *arguments):
        from CardiacLib.mrml.summaries import keep_segmentation

        result = self.logic.addResult(*arguments)
        keep_segmentation(parameters, result, _)
        return result.segmentation.GetName()

    def _showFrame(self, frame):
        from CardiacLib.mrml.sequences import select_frame, sequence_of

        select_frame(sequence_of(self.panel.parameters.segmentation)[0], frame)

    def _reason(self, parameters):
        return "" if parameters.inputVolume else _("Choose a short-axis cine first.")

    def _onParametersChanged(self, parameters):
        from CardiacLib.mrml.patients import take_patient

        if parameters:
            take_patient(parameters)
        self.ui.resultLabel.text = parameters.summary if parameters else ""
        self.ui.lightLabel.text = parameters.light if parameters else ""
        self.ui.notesLabel.text = parameters.notes if parameters else ""
        self._buttons.update(parameters)


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
        quality: str = QUALITIES[0],
        papillary: str = PAPILLARY[0],
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
            quality: one of QUALITIES; best takes four times as long.
            papillary: one of PAPILLARY, where volumes and mass count the papillary muscles.

        Raises:
            CardiacLib.errors.InputError: the volume cannot be used; the scene is unchanged.
        """
        from CardiacLib.mrml.cines import body_facts
        from CardiacLib.mrml.panels import whole_scene_change
        from CardiacLib.mrml.processes import run_blocking

        found = run_blocking(self.makeRequest(volumeNode, frames, bundle, device, backend, quality), progress)
        with whole_scene_change():
            return self.addResult(volumeNode, found, name, papillary, body_facts(volumeNode), bundle)

    def makeRequest(self, volumeNode, frames, bundle, device, backend=BACKENDS[0], quality=QUALITIES[0]):
        """The worker's job for a volume in the scene."""
        from CardiacLib.mrml.cines import cine_from_node, shown_frame
        from CardiacLib.mrml.processes import JobRequest

        cine = shown_frame(volumeNode) if frames is FrameChoice.SHOWN else cine_from_node(volumeNode)
        options = {"bundle": bundle, "device": device, "backend": backend, "quality": quality}
        return JobRequest("CardiacSegLib", "segment", {"cine": cine}, options)

    def addResult(
        self, volumeNode, found, name: str = "", papillary: str = PAPILLARY[0], body=None, bundle: str = DEFAULT_BUNDLE
    ) -> SegmentationResult:
        """Add a CardiacLib.segmentation.Segmentation (a sequence in the cine's own browser).

        Of a whole cine also what is measured, with ``body`` as of CardiacLib.mrml.cines.body_facts, and how good it is.
        """
        from CardiacLib.mrml.cines import cine_from_node
        from CardiacLib.mrml.panels import require_in_scene
        from CardiacLib.mrml.segmentations import labels_to_scene
        from CardiacLib.mrml.sequences import sequence_of
        from CardiacLib.mrml.tables import function_to_scene, quality_to_scene
        from CardiacSegLib.function import measure
        from CardiacSegLib.quality import assess

        require_in_scene(volumeNode, _("The cine"))
        name = name or _("{name} segmentation").format(name=volumeNode.GetName())
        segmentation = labels_to_scene(found.labels, name, browser=sequence_of(volumeNode)[0], volume=volumeNode)
        if len(found.labels.labels) == 1 or found.statistics is None:
            return SegmentationResult(segmentation, {}, None, notes=found.notes)
        cine = cine_from_node(volumeNode) if papillary == "myocardium" else None
        function = measure(found.labels, **(body or {}), papillary=papillary, cine=cine, cut=found.cut)
        quality = assess(found.labels, function, found.statistics, bundle)
        tables = function_to_scene(function.to_dict(), name) | {"quality": quality_to_scene(quality.to_dict(), name)}
        return SegmentationResult(segmentation, tables, function, quality, (*found.notes, *function.notes))


class CardiacSegTest(ScriptedLoadableModuleTest):
    """Self test: segments a small phantom by the logic, as a script would."""

    def runTest(self):
        """Called by Slicer's test runner and by Reload and Test."""
        slicer.mrmlScene.Clear()
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
        self.assertIn("quality", result.tables)
