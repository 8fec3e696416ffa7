"""CardiacLandmarks: a Slicer module that finds ten valve points on every frame of the long-axis cines and measures the
motion of the valve annuli.

The panel and the logic only move values between the scene and the worker; the work is in CardiacLandmarksLib, which
runs as well without Slicer. CardiacLib comes with the CardiacSeg module of the same extension.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple

import slicer
from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLPlotChartNode, vtkMRMLScalarVolumeNode, vtkMRMLTableNode
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
VALVES = ("mitral", "aortic", "tricuspid")


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
    """The panel's choices and results, saved with the scene."""

    cine2ch: vtkMRMLScalarVolumeNode
    cine3ch: vtkMRMLScalarVolumeNode
    cine4ch: vtkMRMLScalarVolumeNode
    bundle: Annotated[str, Choice(list(BUNDLES))] = DEFAULT_BUNDLE
    device: Annotated[str, Choice(list(DEVICES))] = DEVICES[0]
    backend: Annotated[str, Choice(list(BACKENDS))] = BACKENDS[0]
    align: bool = False
    outputName: str = ""
    mitral: vtkMRMLMarkupsFiducialNode
    aortic: vtkMRMLMarkupsFiducialNode
    tricuspid: vtkMRMLMarkupsFiducialNode
    measuresTable: vtkMRMLTableNode
    curvesChart: vtkMRMLPlotChartNode
    summary: str = ""
    notes: str = ""


class LandmarkResult(NamedTuple):
    """The point list of each valve that has points, the nodes of tables and chart by name, and what they show."""

    points: dict[str, object]
    tables: dict[str, object]
    annulus: object | None
    notes: tuple[str, ...] = ()


class CardiacLandmarksWidget(ScriptedLoadableModuleWidget):
    """The panel: hands buttons to the logic; the wiring is CardiacLib.mrml.panels.ModulePanel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.logic = None
        self.panel = None
        self._results = None

    def setup(self):
        """Load the panel; called once, when the module is first shown."""
        from CardiacLib.mrml import views
        from CardiacLib.mrml.panels import ModulePanel, ResultButtons

        ScriptedLoadableModuleWidget.setup(self)
        panelWidget = slicer.util.loadUI(self.resourcePath("UI/CardiacLandmarks.ui"))
        self.layout.addWidget(panelWidget)
        self.ui = slicer.util.childWidgetVariables(panelWidget)
        panelWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = CardiacLandmarksLogic()
        self._results = ResultButtons(
            self.ui,
            {
                "measuresButton": ("measuresTable", views.show_table, _("Show MAPSE, TAPSE, velocities, diameters.")),
                "curvesButton": ("curvesChart", views.show_chart, _("Plot the motion of the annuli over the cycle.")),
            },
            _("There is no such result: find the points first."),
        )
        self.panel = ModulePanel(self, _, {}, self._reason, self._onParametersChanged)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.cancelButton.connect("clicked(bool)", self.onCancelButton)
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
        chosen = self.logic.getParameterNode()  # stays valid when the module is left during the run
        volumes, name = self.logic.volumesOf(chosen), chosen.outputName
        run = (chosen.bundle, chosen.device, chosen.backend, chosen.align)

        def makeRequest():
            from CardiacLib.mrml.dependencies import ensure_dependencies

            ensure_dependencies(self.moduleName)
            return self.logic.makeRequest(volumes, *run)

        def addResult(landmarks):
            result = self.logic.addResult(volumes, landmarks, name)
            self.logic.keepResult(chosen, result)
            return _("Done: points of {count} valves.").format(count=len(result.points))

        self.panel.start(makeRequest, addResult)

    def onCancelButton(self, checked=False):
        """Stop the worker."""
        self.panel.cancel()

    def onMeasureButton(self, checked=False):
        """Measure the points as they are now, after they were edited."""
        with slicer.util.tryWithErrorDisplay(_("The points cannot be measured.")):
            self.logic.measureAgain(self.panel.parameters)

    def _reason(self, parameters):
        return "" if self.logic.volumesOf(parameters) else _("Choose a 2CH, 3CH or 4CH cine first.")

    def _onParametersChanged(self, parameters):
        from CardiacLib.mrml.panels import set_enabled

        self.ui.resultLabel.text = parameters.summary if parameters else ""
        self.ui.notesLabel.text = parameters.notes if parameters else ""
        self._results.update(parameters)
        there = parameters is not None and bool(self.logic.pointsOf(parameters))
        tip = _("Measure the points as they are now, after you have moved some.")
        set_enabled(self.ui.measureButton, tip, "" if there else _("There are no points: find them first."))


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
    ) -> LandmarkResult:
        """Find the valve points in a worker process, wait, and add them to the scene.

        Args:
            volumes: view (2ch, 3ch, 4ch) to the proxy volume of that cine's sequence browser, or a single volume.
            bundle: the network.
            device: one of DEVICES.
            backend: what runs the network, one of BACKENDS.
            align: move views of different breath-hold positions together along the LV axis.
            name: start of the nodes' names; made from the first volume's name if empty.
            progress: called with (fraction, message); may raise CardiacLib.errors.Cancelled.

        Raises:
            CardiacLib.errors.InputError: the volumes or the network cannot be used; the scene is unchanged.
        """
        from CardiacLib.mrml.panels import whole_scene_change
        from CardiacLib.mrml.processes import run_blocking

        found = run_blocking(self.makeRequest(volumes, bundle, device, backend, align), progress)
        with whole_scene_change():
            return self.addResult(volumes, found, name)

    def makeRequest(self, volumes, bundle, device, backend=BACKENDS[0], align=False):
        """The worker's job for volumes in the scene."""
        from CardiacLib.mrml.processes import JobRequest

        inputs = {f"cine_{view}": cine for view, cine in self._cines(volumes).items()}
        options = {"bundle": bundle, "device": device, "backend": backend, "align": align}
        return JobRequest("CardiacLandmarksLib", "detect", inputs, options)

    def addResult(self, volumes, landmarks, name: str = "") -> LandmarkResult:
        """Add CardiacLib.landmarks.Landmarks as point lists, in the browser of the cines, and their measures."""
        from CardiacLib.mrml.markups import landmarks_to_scene
        from CardiacLib.mrml.panels import require_in_scene
        from CardiacLib.mrml.sequences import sequence_of

        for volume in volumes.values():
            require_in_scene(volume, _("The cine"))
        first = next(iter(volumes.values()))
        name = name or _("{name} valves").format(name=first.GetName())
        browsers = (sequence_of(volume)[0] for volume in volumes.values())
        browser = next((found for found in browsers if found is not None), None)
        points = landmarks_to_scene(landmarks, name, browser)
        tables, annulus = self._measure(landmarks, volumes, name)
        notes = annulus.notes if annulus else ()
        return LandmarkResult(points, tables, annulus, (*landmarks.notes, *notes))

    def measurePoints(self, points, volumes, name: str) -> LandmarkResult:
        """Measure point lists as they are in the scene, edits included, and add the tables.

        Args:
            points: valve to point list.
            volumes: view to volume, as of findLandmarks.
            name: start of the tables' names.
        """
        from CardiacLib.mrml.markups import landmarks_from_nodes

        tables, annulus = self._measure(landmarks_from_nodes(points.values()), volumes, name)
        return LandmarkResult(dict(points), tables, annulus, annulus.notes if annulus else ())

    def measureAgain(self, parameters) -> None:
        """Measure the points that a parameter node remembers, in place of its earlier tables."""
        from CardiacLib.mrml.panels import whole_scene_change

        points = self.pointsOf(parameters)
        name = next(iter(points.values())).GetName().rsplit(" ", 2)[0]
        with whole_scene_change():
            result = self.measurePoints(points, self.volumesOf(parameters), name)
        self.keepResult(parameters, result)

    def keepResult(self, parameters, result: LandmarkResult) -> None:
        """Let the parameter node remember a result, so that the panel shows it, also after the scene was reloaded."""
        for valve in VALVES:
            setattr(parameters, valve, result.points.get(valve))
        parameters.measuresTable = result.tables.get("annulus measures")
        parameters.curvesChart = result.tables.get("annulus chart")
        parameters.summary = self.describe(result)
        parameters.notes = "\n".join(result.notes)

    @staticmethod
    def takeViews(parameters) -> None:
        """Where no cine is chosen for a view, take the first volume that was read as that view."""
        from CardiacLib.mrml.cines import VIEW_ATTRIBUTE

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

    @staticmethod
    def pointsOf(parameters) -> dict[str, object]:
        """The point list of each valve that has one."""
        return {valve: getattr(parameters, valve) for valve in VALVES if getattr(parameters, valve) is not None}

    @staticmethod
    def describe(result: LandmarkResult) -> str:
        """The measurements of a result in one line, as the panel shows them."""
        if result.annulus is None:
            return _("Nothing could be measured of these points.")
        values = result.annulus.values()

        def shown(key, digits=0):
            return f"{values[key]:.{digits}f} mm" if values.get(key) is not None else "-"

        return _("MAPSE septal {septal}, lateral {lateral}; TAPSE {tapse}; mitral diameter (4CH) {diameter}.").format(
            septal=shown("mapse_septal_mm", 1),
            lateral=shown("mapse_lateral_mm", 1),
            tapse=shown("tapse_mm", 1),
            diameter=shown("mitral_4ch_ed_mm"),
        )

    @staticmethod
    def _cines(volumes) -> dict[str, object]:
        from CardiacLib.mrml.cines import cine_from_node

        return {view: cine_from_node(volume).with_changes(view=view) for view, volume in volumes.items()}

    def _measure(self, landmarks, volumes, name):
        """Nodes of tables and chart, and the Annulus; none where there is only one frame or nothing to measure."""
        from CardiacLandmarksLib.annulus import measure_annulus
        from CardiacLandmarksLib.detect import from_landmarks
        from CardiacLib.mrml.annulus import annulus_to_scene

        if len(landmarks.points) < 2 or not volumes:
            return {}, None
        annulus = measure_annulus(from_landmarks(landmarks, self._cines(volumes)))
        return ({}, None) if annulus is None else (annulus_to_scene(annulus.to_dict(), name), annulus)


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
        from CardiacLib.mrml.cines import cine_to_scene
        from CardiacLib.phantom import PhantomOptions, make_phantom

        phantom = make_phantom(PhantomOptions.small())
        browser, volumes = None, {}
        for view in VIEWS:
            browser, volumes[view] = cine_to_scene(phantom.cines[view], view, browser)
        result = CardiacLandmarksLogic().addResult(volumes, phantom.landmarks)
        self.assertEqual(set(result.points), set(VALVES))
        self.assertEqual(browser.GetNumberOfSynchronizedSequenceNodes(True), 6)
        self.assertAlmostEqual(result.annulus.values()["mapse_mm"], 12.0, delta=1.0)
