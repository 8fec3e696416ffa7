"""The segmentation panel: what its buttons do and what it shows."""

from typing import ClassVar

from CardiacLib.mrml.nodes.cines import first_of_view
from CardiacLib.mrml.nodes.sequences import sequence_of, show_frame
from CardiacLib.mrml.nodes.study_views import show_playback
from CardiacLib.mrml.nodes.views import show_chart, show_table
from CardiacLib.mrml.panel.consent import ask_for_licence
from CardiacLib.mrml.panel.controls import ResultButtons, show_output
from CardiacLib.mrml.panel.dependencies import ensure_dependencies, torch_requirements
from CardiacLib.mrml.panel.dicom_export import DicomExportSection
from CardiacLib.mrml.panel.module_panel import ModulePanel
from CardiacLib.mrml.panel.networks import NetworkSection
from CardiacLib.mrml.panel.processes import JobRequest, Worker
from CardiacLib.mrml.panel.results import misfit
from CardiacLib.mrml.panel.studies import ask_and_load
from CardiacLib.mrml.translation import _
from CardiacLib.types.segmentation import labels_of_part
from CardiacSegLib.result import SegmentResult

from .choices import bundle_for, measure_choice, segment_choice
from .corrections import CorrectionSection
from .editing import EditingSection
from .patients import take_patient


class SegmentationPanel(ModulePanel):
    """See :class:`~CardiacLib.mrml.panel.module_panel.ModulePanel`.

    Args:
        widget: its ``logic`` has ``makeRequest`` and ``addResult``.
        worker: runs the jobs.
    """

    inputs: ClassVar = {"inputVolume": "vtkMRMLScalarVolumeNode"}
    outputs: ClassVar = {"inputVolume": "segmentation"}

    def __init__(self, widget, worker: Worker):
        super().__init__(widget, worker)
        shown = {
            "endDiastoleButton": ("ed", self._show_frame, _("Show the frame of the largest LV volume.")),
            "endSystoleButton": ("es", self._show_frame, _("Show the frame of the smallest LV volume.")),
            "volumesButton": ("chart", show_chart, _("Plot the LV and RV volumes over the cycle.")),
            "ratesButton": ("rates", show_chart, _("Plot how fast the ventricles empty and fill.")),
            "measurementsButton": ("measurements", show_table, _("Show volumes, EF, mass and indices.")),
            "volumeTableButton": (
                "table of volumes",
                show_table,
                _("Show the volumes that are reported, and what other ways of counting give."),
            ),
            "segmentsButton": ("segments", show_table, _("Show the values of the 17 AHA segments (bull's eye).")),
            "qualityButton": ("quality", show_table, _("Show every finding of quality control.")),
        }
        self._buttons = ResultButtons(self.ui, shown, _("There is none: segment all frames, and see the notes."))
        self._network, self._export = NetworkSection(self), DicomExportSection(self, measure_choice)
        self._editing = EditingSection(self)
        self.ui.loadButton.connect("clicked(bool)", lambda checked=False: ask_and_load(self, "inputVolume"))
        self._corrections = CorrectionSection(self)
        self.connect()

    def first_input(self, name: str):
        """The first short-axis cine; where no volume says its view, the first volume."""
        return first_of_view("sax") or super().first_input(name)

    def reason(self, parameters) -> str:
        """No cine, an output that does not fit, or no weights."""
        volume = parameters.inputVolume
        if not volume:
            return _("Choose a short-axis cine first, or load a study.")
        one_frame = not parameters.frames.allFrames or sequence_of(volume)[1] is None
        return misfit(parameters.segmentation, [volume], one_frame) or self._network.reason(bundle_for(parameters))

    def apply(self) -> None:
        """Start the worker on the chosen cine; the result enters the scene when it is complete."""
        chosen = self.logic.getParameterNode()  # stays valid when the module is left during the run
        volume, output, name = chosen.inputVolume, chosen.segmentation, chosen.outputName
        frames, choice = chosen.frames, segment_choice(chosen)

        def make_request() -> JobRequest:
            ask_for_licence(choice.network.bundle)
            ensure_dependencies(self.widget.moduleName, optional=torch_requirements(choice.network.runs_on))
            return self.logic.makeRequest(volume, frames, choice)

        def add_result(found: SegmentResult) -> str:
            chosen.segmentation = self.logic.addResult(volume, found, name, output).segmentation
            show_playback(sequence_of(volume)[0])
            return _("Done: {name}").format(name=chosen.segmentation.GetName())

        def add_part(request: JobRequest, frames: list) -> str:
            found = SegmentResult(labels_of_part(request.arguments["cine"], frames), None, None)
            part = self.logic.addResult(volume, found, name)
            chosen.segmentation = output or part.segmentation  # a complete result is not overwritten by a part
            text = _("Cancelled; the frames that were finished are kept in {name}.")
            return text.format(name=part.segmentation.GetName())

        self.start(make_request, add_result, add_part)

    def show(self, parameters) -> None:
        """The result of the chosen output, the network's weights, and the patient of the chosen cine."""
        if parameters:
            take_patient(parameters)
        output = parameters.segmentation if parameters else None
        labels = {"resultLabel": "summary", "lightLabel": "light", "notesLabel": "notes"}
        show_output(self.ui, output, labels, self._buttons)
        self._network.update(parameters, bundle_for(parameters) if parameters else "")
        self._export.update(parameters)
        self._editing.update(parameters)
        self._corrections.update(parameters)

    def _show_frame(self, frame: int) -> None:
        show_frame(self.parameters.segmentation, frame)
