"""CardiacSeg: a Slicer module that labels the ventricles on every frame of a short-axis cine and measures them.

The panel and the logic only move values between the scene and the worker; the work is in CardiacSegLib, which
runs as well without Slicer.
"""

import enum
from collections.abc import Callable
from typing import Annotated

import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
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
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Called when Slicer has started: the synthetic heart becomes a sample of the Sample Data module."""
    from CardiacLib.mrml.panel.sample_data import register_sample_data

    register_sample_data(_)


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
    """The panel's choices, saved with the scene; results stay with the segmentation (CardiacLib.mrml.panel.results).

    A height, weight or heart rate of 0 is unknown.
    """

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
    segmentation: vtkMRMLSegmentationNode
    outputName: str = ""


class CardiacSegWidget(ScriptedLoadableModuleWidget):
    """The panel: hands buttons to the logic; the wiring is CardiacLib.mrml.panel.module_panel.ModulePanel."""

    logic = panel = None

    def setup(self):
        """Load the panel; called once, when the module is first shown."""
        from CardiacLib.mrml.nodes.views import show_chart, show_table
        from CardiacLib.mrml.panel.controls import ResultButtons
        from CardiacLib.mrml.panel.dicom_export import DicomExportSection
        from CardiacLib.mrml.panel.module_panel import ModulePanel, load_ui
        from CardiacLib.mrml.panel.networks import NetworkSection
        from CardiacLib.mrml.panel.studies import ask_and_load

        ScriptedLoadableModuleWidget.setup(self)
        load_ui(self)
        self.logic = CardiacSegLogic()
        shown = {
            "endDiastoleButton": ("ed", self._showFrame, _("Show the frame of the largest LV volume.")),
            "endSystoleButton": ("es", self._showFrame, _("Show the frame of the smallest LV volume.")),
            "volumesButton": ("chart", show_chart, _("Plot the LV and RV volumes over the cycle.")),
            "ratesButton": ("rates", show_chart, _("Plot how fast the ventricles empty and fill.")),
            "measurementsButton": ("measurements", show_table, _("Show volumes, EF, mass and indices.")),
            "segmentsButton": ("segments", show_table, _("Show the values of the 17 AHA segments (bull's eye).")),
            "qualityButton": ("quality", show_table, _("Show every finding of quality control.")),
        }
        self._buttons = ResultButtons(self.ui, shown, _("There is none: segment all frames, and see the notes."))
        self._network, self._export = NetworkSection(self, _), DicomExportSection(self, _)
        inputs, outputs = {"inputVolume": "vtkMRMLScalarVolumeNode"}, {"inputVolume": "segmentation"}
        self.panel = ModulePanel(self, _, inputs, self._reason, self._onParametersChanged, outputs)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.loadButton.connect("clicked(bool)", lambda checked=False: ask_and_load(self, "inputVolume", _))

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
        from CardiacLib.mrml.panel.dependencies import ensure_dependencies
        from CardiacLib.types.segmentation import labels_of_part
        from CardiacSegLib.mrml.patients import body_of

        chosen = self.logic.getParameterNode()  # stays valid when the module is left during the run
        volumeNode, output = chosen.inputVolume, chosen.segmentation
        run = (chosen.frames, chosen.bundle, chosen.device, chosen.backend, chosen.quality)
        result = (chosen.outputName, chosen.papillary, body_of(chosen), chosen.bundle)

        def makeRequest():
            ensure_dependencies(self.moduleName)
            return self.logic.makeRequest(volumeNode, *run)

        def addResult(found):
            chosen.segmentation = self.logic.addResult(volumeNode, found, *result, output).segmentation
            return _("Done: {name}").format(name=chosen.segmentation.GetName())

        def addPart(request, frames):
            part = self.logic.addResult(volumeNode, labels_of_part(request.inputs["cine"], frames), *result)
            chosen.segmentation = output or part.segmentation  # a complete result is not overwritten by a part
            text = _("Cancelled; the frames that were finished are kept in {name}.")
            return text.format(name=part.segmentation.GetName())

        self.panel.start(makeRequest, addResult, addPart)

    def _showFrame(self, frame):
        from CardiacLib.mrml.nodes.sequences import show_frame

        show_frame(self.panel.parameters.segmentation, frame)

    def _reason(self, parameters):
        from CardiacLib.mrml.nodes.sequences import sequence_of
        from CardiacLib.mrml.panel.results import misfit

        volumeNode = parameters.inputVolume
        if not volumeNode:
            return _("Choose a short-axis cine first, or load a study.")
        oneFrame = parameters.frames is FrameChoice.SHOWN or sequence_of(volumeNode)[1] is None
        return misfit(parameters.segmentation, [volumeNode], oneFrame, _) or self._network.reason(parameters.bundle)

    def _onParametersChanged(self, parameters):
        from CardiacLib.mrml.panel.controls import show_output
        from CardiacSegLib.mrml.patients import take_patient

        if parameters:
            take_patient(parameters)
        output = parameters.segmentation if parameters else None
        labels = {"resultLabel": "summary", "lightLabel": "light", "notesLabel": "notes"}
        show_output(self.ui, output, labels, self._buttons, _)
        self._network.update(parameters)
        self._export.update(parameters)


class CardiacSegLogic(ScriptedLoadableModuleLogic):
    """Segmentation of a cine that is in the scene; works without the panel and without a window."""

    def getParameterNode(self):
        """The scene's parameter node of this module, with typed access."""
        return CardiacSegParameterNode(super().getParameterNode())

    def loadStudy(self, path, progress: Callable[[float, str], None] = lambda fraction, message: None):
        """Load a cine study into one sequence browser.

        Args:
            path: folder (any nesting) or file: DICOM, also with one series per slice, NIfTI or NRRD.
            progress: called with (fraction, message); may raise CardiacLib.errors.Cancelled.

        Returns:
            the volume of each view: ``sax`` and, where they were found, ``2ch``, ``3ch``, ``4ch``.

        Raises:
            CardiacLib.errors.InputError: nothing there can be read as a study; the scene is unchanged.
        """
        from CardiacLib.mrml.panel.studies import load_study

        return load_study(path, progress)

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
        segmentationNode=None,
    ):
        """Segment a cine in a worker process, wait, and add the result: a CardiacSegLib.mrml.result.SegmentationResult.

        Args:
            volumeNode: the proxy volume of a cine's sequence browser (all frames are used), or a single volume.
            frames: all frames, or only the one that is shown.
            bundle: the network.
            device: one of DEVICES.
            name: name of a new segmentation; made from the volume's name if empty.
            progress: called with (fraction, message); may raise CardiacLib.errors.Cancelled.
            backend: what runs the network, one of BACKENDS.
            quality: one of QUALITIES; best takes four times as long.
            papillary: one of PAPILLARY, where volumes and mass count the papillary muscles.
            segmentationNode: an earlier result to update in place, tables included; None makes new nodes.

        Raises:
            CardiacLib.errors.InputError: the volume cannot be used; the scene is unchanged.
        """
        from CardiacLib.mrml.nodes.cines import body_facts
        from CardiacLib.mrml.panel.module_panel import whole_scene_change
        from CardiacLib.mrml.panel.processes import run_blocking

        found = run_blocking(self.makeRequest(volumeNode, frames, bundle, device, backend, quality), progress)
        chosen = (name, papillary, body_facts(volumeNode), bundle, segmentationNode)
        with whole_scene_change():
            return self.addResult(volumeNode, found, *chosen)

    def makeRequest(self, volumeNode, frames, bundle, device, backend=BACKENDS[0], quality=QUALITIES[0]):
        """The worker's job for a volume in the scene."""
        from CardiacSegLib.mrml.result import segmentation_request

        options = {"bundle": bundle, "device": device, "backend": backend, "quality": quality}
        return segmentation_request(volumeNode, frames is FrameChoice.ALL, options)

    def addResult(
        self, volumeNode, found, name="", papillary=PAPILLARY[0], body=None, bundle=DEFAULT_BUNDLE, output=None
    ):
        """Add a Segmentation and its measures: CardiacSegLib.mrml.result.segmentation_to_scene."""
        from CardiacSegLib.mrml.result import segmentation_to_scene

        return segmentation_to_scene(volumeNode, found, name, papillary, body, bundle, output, _)

    def exportDicomSeg(self, segmentationNode, folder, study="", frame="all", bundle="", progress=lambda *_: None):
        """Write a segmentation as DICOM SEG, wait, and return the files: CardiacLib.mrml.panel.dicom_export."""
        from CardiacLib.mrml.panel.dicom_export import export_dicom_seg

        return export_dicom_seg(segmentationNode, study, folder, frame, bundle, progress)


class CardiacSegTest(ScriptedLoadableModuleTest):
    """Self test: segments a small phantom by the logic, as a script would."""

    def runTest(self):
        """Called by Slicer's test runner and by Reload and Test."""
        slicer.mrmlScene.Clear()
        self.test_segmentSequence()

    def test_segmentSequence(self):
        """All frames of the phantom are labelled, in the cine's own browser."""
        from CardiacLib.mrml.nodes.cines import cine_to_scene
        from CardiacLib.mrml.panel.dependencies import missing_requirements
        from CardiacLib.phantom import PhantomOptions, make_phantom

        if missing_requirements():
            self.skipTest("Python packages of the worker are not installed.")
        browser, volumeNode = cine_to_scene(make_phantom(PhantomOptions.small()).cines["sax"], "cine")
        result = CardiacSegLogic().segmentSequence(volumeNode, device="cpu")
        self.assertEqual(result.segmentation.GetSegmentation().GetNumberOfSegments(), 3)
        self.assertEqual(browser.GetNumberOfSynchronizedSequenceNodes(True), 2)
        self.assertGreater(result.function.lv_edv_ml, 0)
        self.assertIn("quality", result.tables)
