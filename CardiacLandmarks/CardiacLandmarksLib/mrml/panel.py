"""The landmark panel: what its buttons do and what it shows."""

from CardiacLandmarksLib.result import PointsResult
from CardiacLib.mrml.nodes.cines import first_of_view
from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.markups import VALVE_ATTRIBUTE
from CardiacLib.mrml.nodes.sequences import sequence_of, show_frame
from CardiacLib.mrml.nodes.study_views import show_only_in, show_points, show_study, study_volumes
from CardiacLib.mrml.nodes.views import show_chart, show_table
from CardiacLib.mrml.panel.consent import ask_for_licence
from CardiacLib.mrml.panel.controls import ResultButtons, set_enabled, show_output
from CardiacLib.mrml.panel.dependencies import ensure_dependencies, torch_requirements
from CardiacLib.mrml.panel.module_panel import ModulePanel
from CardiacLib.mrml.panel.networks import NetworkSection
from CardiacLib.mrml.panel.processes import JobRequest, Worker
from CardiacLib.mrml.panel.results import misfit
from CardiacLib.mrml.translation import _

from .choices import bundles_for, landmark_choice

VIEWS = {"2ch": "cine2ch", "3ch": "cine3ch", "4ch": "cine4ch"}
"""View and the parameter that holds its cine."""


class LandmarkPanel(ModulePanel):
    """See :class:`~CardiacLib.mrml.panel.module_panel.ModulePanel`.

    Args:
        widget: its ``logic`` has ``makeRequest``, ``addResult``, ``makeMeasureRequest`` and ``addMeasures``.
        worker: runs the jobs.
    """

    def __init__(self, widget, worker: Worker):
        super().__init__(widget, worker)
        self.ui.outputSelector.addAttribute("vtkMRMLMarkupsFiducialNode", VALVE_ATTRIBUTE, None)
        shown = {
            "endDiastoleButton": ("ed", self._show_frame, _("Show the frame in which the annulus is highest.")),
            "endSystoleButton": ("es", self._show_frame, _("Show the frame in which the annulus is nearest the apex.")),
            "measuresButton": ("annulus measures", show_table, _("Show MAPSE, TAPSE, velocities, diameters.")),
            "curvesButton": ("annulus chart", show_chart, _("Plot the motion of the annuli over the cycle.")),
        }
        self._buttons = ResultButtons(self.ui, shown, _("There is no such result: find the points first."))
        self._network = NetworkSection(self)
        self.ui.measureButton.connect("clicked(bool)", lambda checked=False: self._measure())
        self.connect()

    def connect(self) -> None:
        """As of the base; while no result is chosen, a view without a cine takes the first that was read as it."""
        super().connect()
        if self.parameters.points is None:
            take_views(self.parameters)

    def reason(self, parameters) -> str:
        """No cine, an output that does not fit, or no weights."""
        volumes = volumes_of(parameters).values()
        if not volumes:
            return _("Choose a 2CH, 3CH or 4CH cine first; Cardiac Segmentation loads a study.")
        one_frame = all(sequence_of(volume)[1] is None for volume in volumes)
        return misfit(parameters.points, volumes, one_frame) or self._network.reason(parameters.bundle)

    def apply(self) -> None:
        """Start the worker on the chosen cines; the points enter the scene when they are complete."""
        chosen = self.logic.getParameterNode()  # stays valid when the module is left during the run
        volumes, name, output = volumes_of(chosen), chosen.outputName, chosen.points
        choice = landmark_choice(chosen)

        def make_request() -> JobRequest:
            for bundle in bundles_for(volumes, chosen.bundle):
                ask_for_licence(bundle)
            ensure_dependencies(self.widget.moduleName, optional=torch_requirements(choice.network.runs_on))
            return self.logic.makeRequest(volumes, choice)

        def add_result(found: PointsResult) -> str:
            result = self.logic.addResult(volumes, found, name, output)
            chosen.points = next(iter(result.points.values()))
            show_study(study_volumes(next(iter(volumes.values()))) | volumes)
            show_points(result.points)
            if result.labels is not None:
                show_only_in(result.labels, "4ch")
            return _("Done: points of {count} valves.").format(count=len(result.points))

        self.start(make_request, add_result)

    def show(self, parameters) -> None:
        """The result of the chosen output, and the network's weights."""
        output = parameters.points if parameters else None
        show_output(self.ui, output, {"resultLabel": "summary", "notesLabel": "notes"}, self._buttons)
        self._network.update(parameters)
        reason = self.running_or("" if output else _("There are no points: find them first."))
        set_enabled(self.ui.measureButton, _("Measure the points as they are now, after you have moved some."), reason)

    def _measure(self) -> None:
        """Measure the points as they are now, after they were edited."""
        points, volumes = self.parameters.points, volumes_of(self.parameters)

        def make_request() -> JobRequest:
            ensure_dependencies(self.widget.moduleName)
            return self.logic.makeMeasureRequest(points, volumes)

        def add_result(found: PointsResult) -> str:
            self.logic.addMeasures(points, volumes, found)
            return _("Measured the points as they are now.")

        self.start(make_request, add_result)

    def _show_frame(self, frame: int) -> None:
        show_frame(self.parameters.points, frame)


def take_views(parameters) -> None:
    """Where no cine is chosen for a view, take the first volume that was read as that view."""
    for view, parameter in VIEWS.items():
        volume = first_of_view(view)
        if volume is not None and getattr(parameters, parameter) is None:
            setattr(parameters, parameter, volume)


def volumes_of(parameters) -> Nodes:
    """The chosen volume of each view that has one."""
    chosen = {view: getattr(parameters, parameter) for view, parameter in VIEWS.items()}
    return {view: volume for view, volume in chosen.items() if volume is not None}
