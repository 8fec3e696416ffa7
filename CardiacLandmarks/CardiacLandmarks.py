"""CardiacLandmarks: a Slicer module that finds ten valve points on every frame of the long-axis cines and measures the
motion of the valve annuli.

The panel and the logic only move values between the scene and the worker; the work is in CardiacLandmarksLib, which
runs as well without Slicer. CardiacLib comes with the CardiacSeg module of the same extension. Slicer puts the
folders of all modules on the path before it reads the first, so its types are there while this file is read.
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

from CardiacLib.types.choices import BACKENDS, DEVICES, LANDMARK_BUNDLES, LandmarkChoice, NetworkChoice, RunsOn


class CardiacLandmarks(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        from CardiacLib.resources import documentation_link

        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Cardiac Landmarks")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        self.parent.dependencies = ["CardiacSeg", "Sequences", "Markups"]
        self.parent.contributors = ["CineHeart contributors (CineHeart)"]
        self.parent.helpText = _(
            "Finds ten points of the mitral, aortic and tricuspid valve on every frame of the 2CH, 3CH and 4CH cines "
            "and measures the motion of the annuli (MAPSE, TAPSE, diameters). For research use only."
        )
        self.parent.helpText += documentation_link("CardiacLandmarks")
        self.parent.acknowledgementText = _(
            "The points are those of Kerfoot et al., STACOM 2020, doi 10.1007/978-3-030-68107-4_15."
        )


@parameterNodeWrapper
class CardiacLandmarksParameterNode:
    """The panel's choices, saved with the scene; results stay with the point lists (CardiacLib.mrml.panel.results)."""

    cine2ch: vtkMRMLScalarVolumeNode
    cine3ch: vtkMRMLScalarVolumeNode
    cine4ch: vtkMRMLScalarVolumeNode
    bundle: Annotated[str, Choice(list(LANDMARK_BUNDLES))] = LANDMARK_BUNDLES[0]
    device: Annotated[str, Choice(list(DEVICES))] = DEVICES[0]
    backend: Annotated[str, Choice(list(BACKENDS))] = BACKENDS[0]
    align: bool = False
    points: vtkMRMLMarkupsFiducialNode
    outputName: str = ""


class CardiacLandmarksWidget(ScriptedLoadableModuleWidget):
    """Hands Slicer's calls on to CardiacLandmarksLib.mrml.panel.LandmarkPanel."""

    logic = panel = None

    def setup(self):
        """Load the panel; called once, when the module is first shown."""
        from CardiacLandmarksLib.mrml.panel import LandmarkPanel
        from CardiacSeg import worker

        ScriptedLoadableModuleWidget.setup(self)
        self.logic = CardiacLandmarksLogic()
        self.panel = LandmarkPanel(self, worker())

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
        """Start the worker on the chosen cines."""
        self.panel.apply()


class CardiacLandmarksLogic(ScriptedLoadableModuleLogic):
    """Valve points of cines that are in the scene; works without the panel and without a window."""

    def getParameterNode(self):
        """The scene's parameter node of this module, with typed access."""
        return CardiacLandmarksParameterNode(super().getParameterNode())

    def findLandmarks(
        self,
        volumes: Mapping[str, object],
        bundle: str = LANDMARK_BUNDLES[0],
        device: str = DEVICES[0],
        backend: str = BACKENDS[0],
        align: bool = False,
        name: str = "",
        progress: Callable[[float, str], None] = lambda fraction, message: None,
        pointsNode=None,
        acceptLicence: bool = False,
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
            acceptLicence: accept the licence of the network's weights; else the user is asked once, if there is one.

        Returns:
            CardiacLandmarksLib.mrml.result.LandmarkResult.

        Raises:
            CardiacLib.errors.InputError: the volumes or the network cannot be used, or nobody accepted the licence of
                the weights; the scene is unchanged.
        """
        from CardiacLandmarksLib.mrml.choices import bundles_for
        from CardiacLib.mrml.panel.consent import require_licence

        for needed in bundles_for(volumes, bundle):
            require_licence(needed, acceptLicence)
        choice = LandmarkChoice(NetworkChoice(bundle, RunsOn(device, backend)), align)
        request = self.makeRequest(volumes, choice)
        return self._run(request, progress, lambda found: self.addResult(volumes, found, name, pointsNode))

    def measureAgain(
        self, pointsNode, volumes, progress: Callable[[float, str], None] = lambda fraction, message: None
    ):
        """Measure point lists as they are in the scene, edits included, wait, and update their tables.

        Args:
            pointsNode: one of the point lists of a result.
            volumes: view to volume, as of findLandmarks.
            progress: called with (fraction, message); may raise CardiacLib.errors.Cancelled.

        Returns:
            CardiacLandmarksLib.mrml.result.LandmarkResult.
        """
        request = self.makeMeasureRequest(pointsNode, volumes)
        return self._run(request, progress, lambda found: self.addMeasures(pointsNode, volumes, found))

    def makeRequest(self, volumes, choice: LandmarkChoice):
        """The worker's job for volumes in the scene: CardiacLandmarksLib.mrml.requests.points_request."""
        from CardiacLandmarksLib.mrml.requests import points_request

        return points_request(volumes, choice)

    def addResult(self, volumes, found, name: str = "", pointsNode=None):
        """Add a CardiacLandmarksLib.result.PointsResult: CardiacLandmarksLib.mrml.result.points_to_scene."""
        from CardiacLandmarksLib.mrml.result import points_to_scene

        return points_to_scene(found, volumes, name=name, output=pointsNode)

    def makeMeasureRequest(self, pointsNode, volumes):
        """The worker's job for point lists in the scene: CardiacLandmarksLib.mrml.requests.measure_request."""
        from CardiacLandmarksLib.mrml.requests import measure_request

        return measure_request(pointsNode, volumes)

    def addMeasures(self, pointsNode, volumes, found):
        """Update tables by a PointsResult: CardiacLandmarksLib.mrml.result.measures_to_scene."""
        from CardiacLandmarksLib.mrml.result import measures_to_scene

        return measures_to_scene(found, pointsNode, volumes.values())

    @staticmethod
    def _run(request, progress, addFound):
        from CardiacLib.mrml.panel.module_panel import run_and_add
        from CardiacSeg import worker

        return run_and_add(request, addFound, worker=worker(), progress=progress)


class CardiacLandmarksTest(ScriptedLoadableModuleTest):
    """Self test: puts the phantom's own points into the scene by the logic, and measures them in the worker."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Called by Slicer's test runner and by Reload and Test."""
        self.setUp()
        self.test_pointsAndMeasures()

    def test_pointsAndMeasures(self):
        """All valves arrive as point lists in the cines' browser; their motion is measured."""
        from CardiacLandmarksLib.result import PointsResult
        from CardiacLib.mrml.nodes.cines import cine_to_scene
        from CardiacLib.phantom import PhantomOptions, make_phantom

        phantom = make_phantom(PhantomOptions.small())
        browser, volumes = None, {}
        for view in ("2ch", "3ch", "4ch"):
            browser, volumes[view] = cine_to_scene(phantom.cines[view], view, browser)
        logic = CardiacLandmarksLogic()
        points = logic.addResult(volumes, PointsResult(phantom.landmarks, None)).points
        self.assertEqual(set(points), {"mitral", "aortic", "tricuspid"})
        self.assertEqual(browser.GetNumberOfSynchronizedSequenceNodes(True), 6)
        result = logic.measureAgain(points["mitral"], volumes)
        self.assertAlmostEqual(result.annulus.values()["mapse_mm"], 12.0, delta=1.0)
