"""The mesh panel: what its buttons do and what it shows."""

from typing import ClassVar

from BiVMeshLib.result import MeshResult
from CardiacLib.mrml.nodes.markups import VALVE_ATTRIBUTE
from CardiacLib.mrml.nodes.sequences import sequence_of, show_frame
from CardiacLib.mrml.nodes.views import center_3d_views, show_table
from CardiacLib.mrml.panel.controls import ResultButtons, set_enabled, show_output
from CardiacLib.mrml.panel.dependencies import ensure_dependencies
from CardiacLib.mrml.panel.module_panel import ModulePanel
from CardiacLib.mrml.panel.processes import JobRequest, Worker
from CardiacLib.mrml.panel.results import result_of
from CardiacLib.mrml.translation import _
from CardiacLib.types.mesh_options import EDGE_MM

from .choices import mesh_choice
from .mesh_export import MeshExportSection
from .models import QUALITY_ATTRIBUTE, show_mesh
from .propagation import PropagationSection


class MeshPanel(ModulePanel):
    """See :class:`~CardiacLib.mrml.panel.module_panel.ModulePanel`.

    Args:
        widget: its ``logic`` has ``makeRequest``, ``addResult`` and ``makePropagationRequest``.
        worker: runs the jobs.
    """

    inputs: ClassVar = {"inputSegmentation": "vtkMRMLSegmentationNode"}
    outputs: ClassVar = {"inputSegmentation": "mesh"}

    def __init__(self, widget, worker: Worker):
        super().__init__(widget, worker)
        self.ui.outputSelector.addAttribute("vtkMRMLModelNode", QUALITY_ATTRIBUTE, None)
        self.ui.valvesSelector.addAttribute("vtkMRMLMarkupsFiducialNode", VALVE_ATTRIBUTE, None)
        shown = {
            "showButton": ("VOLUME", self._show_mesh, _("Show the mesh as chosen.")),
            "qualityButton": ("QUALITY", show_table, _("Show every measure of the mesh's quality.")),
        }
        self._buttons = ResultButtons(self.ui, shown, _("There is no mesh yet: press Apply."))
        frames = {
            "endDiastoleButton": ("ed", self._show_frame, _("Show the frame of the largest LV volume.")),
            "endSystoleButton": ("es", self._show_frame, _("Show the frame of the smallest LV volume.")),
        }
        self._frames = ResultButtons(self.ui, frames, _("Cardiac Segmentation has not measured this segmentation."))
        self._export, self.propagation = MeshExportSection(self), PropagationSection(self)
        self.connect()

    def reason(self, parameters) -> str:
        """No segmentation, one of a single frame where a motion is wanted, or rings without valve points."""
        if not parameters.inputSegmentation:
            return _("Choose a segmentation first.")
        if parameters.motion and sequence_of(parameters.inputSegmentation)[1] is None:
            return _("The motion needs a segmentation of all frames: segment a cine, or take the tick away.")
        if parameters.valveRings and not parameters.valvePoints:
            return _("The valve rings need valve points: choose a point list, or take the tick away.")
        return ""

    def apply(self) -> None:
        """Start the worker on the chosen frame; the models enter the scene when they are complete."""
        chosen = self.logic.getParameterNode()  # stays valid when the module is left during the run
        segmentation, name, output = chosen.inputSegmentation, chosen.outputName, chosen.mesh
        choice, valves = mesh_choice(chosen), chosen.valvePoints

        def make_request() -> JobRequest:
            ensure_dependencies(self.widget.moduleName)
            return self.logic.makeRequest(segmentation, choice, valves)

        def add_result(found: MeshResult) -> str:
            models = self.logic.addResult(segmentation, found, name, output)
            chosen.mesh = models["VOLUME"]
            center_3d_views()
            return _("Done: {count} models.").format(count=len(models) - 1)

        self.start(make_request, add_result)

    def on_choice(self, node, parameters) -> None:
        """The result of propagation, too, belongs to its segmentation."""
        self.propagation.follow(node, parameters)

    def show(self, parameters) -> None:
        """The result of the chosen output, and what can be done with it and with the segmentation."""
        output = parameters.mesh if parameters else None
        show_output(self.ui, output, {"resultLabel": "summary"}, self._buttons)
        self._frames.update(result_of(parameters.inputSegmentation if parameters else None))
        if parameters:
            automatic = _("Automatic: {edge} mm, less where the wall is thin.").format(edge=EDGE_MM)
            tip = _("Mean edge of the tetrahedra. Half the length gives about eight times as many.")
            set_enabled(self.ui.edgeLengthSlider, tip, automatic if parameters.automaticEdgeLength else "")
        self.propagation.update(parameters)
        self._export.update(parameters)

    def _show_mesh(self, volume) -> None:
        show_mesh(volume, self.parameters.view)

    def _show_frame(self, frame: int) -> None:
        show_frame(self.parameters.inputSegmentation, frame)
