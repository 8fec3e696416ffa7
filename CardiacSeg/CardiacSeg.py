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

from CardiacLib.types.choices import (
    BACKENDS,
    DEVICES,
    PAPILLARY,
    QUALITIES,
    SHORT_AXIS_BUNDLES,
    SPECIES_NAMES,
    Body,
    NetworkChoice,
    RunsOn,
    SegmentChoice,
)


class CardiacSeg(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        from CardiacLib.resources import documentation_link

        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Cardiac Segmentation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        self.parent.dependencies = ["Sequences", "Segmentations"]
        self.parent.contributors = ["CineHeart contributors (CineHeart)"]
        self.parent.helpText = _(
            "Labels the left ventricle, its myocardium and the right ventricle on every frame of a short-axis cine "
            "cardiac MR and measures volumes, ejection fraction and mass. For research use only."
        )
        self.parent.helpText += documentation_link("CardiacSeg")
        self.parent.acknowledgementText = _(
            "The default network was trained on the ACDC data set (Bernard et al., IEEE TMI 2018); its weights carry "
            "that data set's licence, CC BY-NC-SA 4.0: not for commercial use."
        )
        slicer.app.connect("startupCompleted()", onStartupCompleted)


def onStartupCompleted():
    """Called when Slicer has started: CardiacLib.mrml.application.startup."""
    from CardiacLib.mrml.application.startup import start_up

    start_up()


def reloadAll(moduleName):
    """Reload all three modules and the libraries that they share: CardiacLib.mrml.application.reload."""
    from CardiacLib.mrml.application.reload import reload_all

    modules = ("CardiacSeg", "CardiacLandmarks", "BiVMesh")
    reload_all(moduleName, modules, ("CardiacLib", *(f"{name}Lib" for name in modules), "cineheart"))


def worker():
    """What runs the jobs of all three panels: CardiacLib.mrml.panel.processes.Worker."""
    from CardiacLib.mrml.panel.processes import Worker

    return Worker.beside(__file__, "cineheart.worker")


class FrameChoice(enum.Enum):
    """Which frames of the cine are segmented."""

    ALL = "all"
    SHOWN = "shown"

    @property
    def allFrames(self) -> bool:
        """Whether these are all of them."""
        return self is FrameChoice.ALL

    @staticmethod
    def label(choice: "FrameChoice") -> str:
        """The text that the panel shows for a choice."""
        return {FrameChoice.ALL: _("All frames"), FrameChoice.SHOWN: _("Only the frame that is shown")}[choice]


@parameterNodeWrapper
class CardiacSegParameterNode:
    """The panel's choices, saved with the scene; results stay with the segmentation (CardiacLib.mrml.panel.results).

    A height, weight or heart rate of 0 is unknown. Frames by hand count from 1; 0 leaves them to the volumes.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    frames: FrameChoice = FrameChoice.ALL
    bundle: Annotated[str, Choice(list(SHORT_AXIS_BUNDLES))] = SHORT_AXIS_BUNDLES[0]
    quality: Annotated[str, Choice(list(QUALITIES))] = QUALITIES[0]
    device: Annotated[str, Choice(list(DEVICES))] = DEVICES[0]
    backend: Annotated[str, Choice(list(BACKENDS))] = BACKENDS[0]
    species: Annotated[str, Choice(list(SPECIES_NAMES))] = SPECIES_NAMES[0]
    papillary: Annotated[str, Choice(list(PAPILLARY))] = PAPILLARY[0]
    heightCm: Annotated[float, WithinRange(0.0, 250.0)] = 0.0
    weightKg: Annotated[float, WithinRange(0.0, 300.0)] = 0.0
    heartRate: Annotated[float, WithinRange(0.0, 1000.0)] = 0.0
    edFrame: Annotated[int, WithinRange(0, 999)] = 0
    esFrame: Annotated[int, WithinRange(0, 999)] = 0
    leftOutSlices: str = ""
    addedSlices: str = ""
    patientOf: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    outputName: str = ""


class CardiacSegWidget(ScriptedLoadableModuleWidget):
    """Hands Slicer's calls on to CardiacSegLib.mrml.panel.SegmentationPanel."""

    logic = panel = None

    def setup(self):
        """Load the panel; called once, when the module is first shown."""
        from CardiacSegLib.mrml.panel import SegmentationPanel

        ScriptedLoadableModuleWidget.setup(self)
        self.logic = CardiacSegLogic()
        self.panel = SegmentationPanel(self, worker())

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
        reloadAll(self.moduleName)

    def onApplyButton(self, checked=False):
        """Start the worker on the chosen cine."""
        self.panel.apply()


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

        return load_study(path, worker=worker(), progress=progress)

    def loadSample(self, name="CineHeartPhantom", progress=lambda fraction, message: None):
        """Make a synthetic heart (or the quicker ``CineHeartPhantomSmall``): volume by view, as of loadStudy."""
        from CardiacLib.mrml.application.sample_data import add_sample

        return add_sample(name, progress, worker=worker())

    def segmentSequence(
        self,
        volumeNode,
        frames: FrameChoice = FrameChoice.ALL,
        bundle: str = SHORT_AXIS_BUNDLES[0],
        device: str = DEVICES[0],
        name: str = "",
        progress: Callable[[float, str], None] = lambda fraction, message: None,
        backend: str = BACKENDS[0],
        quality: str = QUALITIES[0],
        papillary: str = PAPILLARY[0],
        segmentationNode=None,
        acceptLicence: bool = False,
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
            acceptLicence: accept the licence of the network's weights; else the user is asked once, if there is one.

        Raises:
            CardiacLib.errors.InputError: the volume cannot be used, or nobody accepted the licence of the weights; the
                scene is unchanged.
        """
        from CardiacLib.mrml.nodes.cines import body_facts
        from CardiacLib.mrml.panel.consent import require_licence
        from CardiacLib.mrml.panel.module_panel import run_and_add

        require_licence(bundle, acceptLicence)
        network = NetworkChoice(bundle, RunsOn(device, backend), quality)
        choice = SegmentChoice(network, papillary, Body.of(body_facts(volumeNode)))
        request = self.makeRequest(volumeNode, frames, choice)
        return run_and_add(
            request,
            lambda found: self.addResult(volumeNode, found, name, segmentationNode),
            worker=worker(),
            progress=progress,
        )

    def makeRequest(self, volumeNode, frames: FrameChoice, choice: SegmentChoice):
        """The worker's job: CardiacSegLib.mrml.result.segmentation_request."""
        from CardiacSegLib.mrml.result import segmentation_request

        return segmentation_request(volumeNode, choice, all_frames=frames.allFrames)

    def addResult(self, volumeNode, found, name: str = "", output=None):
        """Add a CardiacSegLib.result.SegmentResult: CardiacSegLib.mrml.result.segmentation_to_scene."""
        from CardiacSegLib.mrml.result import segmentation_to_scene

        return segmentation_to_scene(volumeNode, found, name=name, output=output)

    def measureAgain(
        self,
        segmentationNode,
        choice: SegmentChoice = SegmentChoice(),
        volumeNode=None,
        progress: Callable[[float, str], None] = lambda fraction, message: None,
    ):
        """Measure a segmentation as it is now, edits included, wait, and update its tables.

        Args:
            segmentationNode: a result of segmentSequence, or any segmentation with CineHeart's segments.
            choice: body, papillary muscles, and what is set by hand (``by_hand``: frames from 0, basal slices).
            volumeNode: its cine; None takes the one that it was made on.
            progress: called with (fraction, message); may raise CardiacLib.errors.Cancelled.

        Returns:
            CardiacSegLib.mrml.result.SegmentationResult.
        """
        from CardiacLib.mrml.panel.module_panel import run_and_add

        request = self.makeMeasureRequest(segmentationNode, volumeNode, choice)
        return run_and_add(
            request, lambda found: self.addMeasures(segmentationNode, found), worker=worker(), progress=progress
        )

    def makeMeasureRequest(self, segmentationNode, volumeNode, choice: SegmentChoice):
        """The worker's job for a segmentation in the scene: CardiacSegLib.mrml.result.measure_request."""
        from CardiacSegLib.mrml.result import measure_request

        return measure_request(segmentationNode, volumeNode, choice)

    def addMeasures(self, segmentationNode, found):
        """Update tables by a SegmentResult: CardiacSegLib.mrml.result.measures_to_scene."""
        from CardiacSegLib.mrml.result import measures_to_scene

        return measures_to_scene(found, segmentationNode)

    def exportDicomSeg(
        self, segmentationNode, folder, study="", frame="all", bundle="", progress=lambda *_: None, measured=None
    ):
        """Write DICOM SEG, wait, return the files; with ``measured``, a SegmentChoice, a DICOM report too."""
        from CardiacLib.mrml.panel.dicom_export import DicomExport, export_dicom_seg

        wanted = DicomExport(study, frame, bundle, measured)
        return export_dicom_seg(segmentationNode, folder, wanted, worker=worker(), progress=progress)


class CardiacSegFileReader:
    """Makes the synthetic heart that a file of Sample Data names; Slicer knows a reader by its name."""

    def __init__(self, parent):
        self.parent = parent

    def description(self):
        """What the reader reads, for people."""
        return _("CineHeart sample")

    def fileType(self):
        """What the reader reads, for programs."""
        from CardiacLib.mrml.application.sample_data import FILE_TYPE

        return FILE_TYPE

    def extensions(self):
        """Names of the files."""
        from CardiacLib.mrml.application.sample_data import SUFFIX

        return [f"{self.description()} (*{SUFFIX})"]

    def canLoadFile(self, filePath):
        """Whether the file names a sample."""
        from CardiacLib.errors import InputError
        from CardiacLib.mrml.application.sample_data import sample_of

        try:
            return bool(sample_of(filePath))
        except InputError:
            return False

    def load(self, properties):
        """Make the study; its nodes are those that were loaded, the short axis first."""
        from CardiacLib.mrml.application.sample_data import add_sample, sample_of

        with slicer.util.tryWithErrorDisplay(_("The sample could not be made."), waitCursor=True):
            volumes = add_sample(sample_of(properties["fileName"]), worker=worker())
            self.parent.loadedNodes = [volume.GetID() for volume in volumes.values()]
            return True


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
        result = CardiacSegLogic().segmentSequence(volumeNode, device="cpu", acceptLicence=True)
        self.assertEqual(result.segmentation.GetSegmentation().GetNumberOfSegments(), 3)
        self.assertEqual(browser.GetNumberOfSynchronizedSequenceNodes(True), 2)
        self.assertGreater(result.function.lv.edv_ml, 0)
        self.assertIn("quality", result.tables)
