"""The buttons of the segmentation panel that show a segmentation in 3D and open it in the Segment Editor."""

from CardiacLib.mrml.nodes.segmentations import images_of
from CardiacLib.mrml.nodes.surfaces import hide_in_3d, shown_in_3d, surface_steps
from CardiacLib.mrml.nodes.views import center_3d_views, edit_segmentation
from CardiacLib.mrml.panel.controls import set_enabled
from CardiacLib.mrml.panel.module_panel import errors_shown
from CardiacLib.mrml.translation import _


class EditingSection:
    """Drives ``show3dButton`` and ``editButton``.

    Surfaces are made frame by frame while the window goes on.

    Args:
        panel: :class:`~CardiacSegLib.mrml.panel.SegmentationPanel`.
    """

    def __init__(self, panel):
        self._panel, self._ui = panel, panel.ui
        self._steps = self._shown = None
        self._ui.show3dButton.connect("clicked(bool)", lambda checked=False: self._toggle_3d())
        self._ui.editButton.connect("clicked(bool)", lambda checked=False: self._edit())

    def update(self, parameters) -> None:
        """Enable the buttons if there is a segmentation; ``parameters`` may be None."""
        node = parameters.segmentation if parameters else None
        reason = "" if node else _("There is no segmentation yet: press Apply.")
        self._ui.show3dButton.text = _("Hide 3D") if node and not self._steps and shown_in_3d(node) else _("Show 3D")
        busy = _("The surfaces are being made.") if self._steps else ""
        tip = _("Show the segmentation of every frame in 3D, or hide it again.")
        set_enabled(self._ui.show3dButton, tip, reason or busy)
        tip = _("Open this segmentation on its images in the Segment Editor. Edits of a frame stay with that frame.")
        set_enabled(self._ui.editButton, tip, reason)

    def _toggle_3d(self) -> None:
        node = self._panel.parameters.segmentation
        if shown_in_3d(node):
            hide_in_3d(node)
            self._panel.update()
            return
        self._shown, self._steps = node, surface_steps(node)
        self._next()

    def _next(self) -> None:
        import qt
        import slicer

        share = None
        with errors_shown():
            if slicer.mrmlScene.IsNodePresent(self._shown):
                share = next(self._steps, None)
        if share is None:
            self._steps = self._shown = None
            with errors_shown():
                center_3d_views()
        else:
            self._ui.statusLabel.text = _("Surfaces: {percent} %").format(percent=round(100 * share))
            qt.QTimer.singleShot(0, self._next)
        self._panel.update()

    def _edit(self) -> None:
        node = self._panel.parameters.segmentation
        with errors_shown():
            edit_segmentation(node, images_of(node))
