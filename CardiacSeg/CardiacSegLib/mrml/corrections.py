"""The Corrections section of the segmentation panel: frames and basal slices by hand, and measuring again."""

from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.mrml.panel.controls import set_enabled
from CardiacLib.mrml.panel.dependencies import ensure_dependencies
from CardiacLib.mrml.panel.module_panel import ModulePanel
from CardiacLib.mrml.panel.processes import JobRequest
from CardiacLib.mrml.translation import _
from CardiacSegLib.result import SegmentResult

from .choices import measure_choice

MOST_FRAMES = 999


class CorrectionSection:
    """Drives ``measureButton``, ``edFrameSpinBox`` and ``esFrameSpinBox``.

    Args:
        panel: that the widgets belong to: its ``logic`` has ``makeMeasureRequest`` and ``addMeasures``, its parameters
            ``segmentation``, ``inputVolume``, ``edFrame``, ``esFrame``, ``leftOutSlices`` and ``addedSlices``.
    """

    def __init__(self, panel: ModulePanel):
        self._panel = panel
        panel.ui.measureButton.connect("clicked(bool)", lambda checked=False: self._measure())

    def update(self, parameters) -> None:
        """Enable the button, or say why not, and let the frames be those of the cine; ``parameters`` may be None."""
        segmentation = parameters.segmentation if parameters else None
        sequence = sequence_of(segmentation)[1] if segmentation else None
        frames = sequence.GetNumberOfDataNodes() if sequence is not None else MOST_FRAMES
        for box in (self._panel.ui.edFrameSpinBox, self._panel.ui.esFrameSpinBox):
            box.maximum = frames
        reason = self._panel.running_or("" if segmentation else _("There is no segmentation yet: press Apply."))
        tip = _("Measure the segmentation as it is now, edits included, with these corrections.")
        set_enabled(self._panel.ui.measureButton, tip, reason)

    def _measure(self) -> None:
        chosen = self._panel.logic.getParameterNode()  # stays valid when the module is left during the run
        segmentation, volume = chosen.segmentation, chosen.inputVolume

        def make_request() -> JobRequest:
            ensure_dependencies(self._panel.widget.moduleName)
            return self._panel.logic.makeMeasureRequest(segmentation, volume, measure_choice(chosen))

        def add_result(found: SegmentResult) -> str:
            self._panel.logic.addMeasures(segmentation, found)
            return _("Measured the segmentation as it is now.")

        self._panel.start(make_request, add_result)
