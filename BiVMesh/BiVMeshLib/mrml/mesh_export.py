"""The Export section of the mesh panel: formats to tick, a folder, and a button."""

from collections.abc import Callable, Iterable

from CardiacLib.mrml.panel.controls import CheckList, set_enabled
from CardiacLib.mrml.panel.module_panel import errors_shown


class MeshExportSection:
    """Drives ``formatsList`` and ``exportButton`` of the mesh panel.

    Args:
        widget: the module's widget: ``ui``, ``panel``, ``logic`` with ``exportMesh``; parameters have ``mesh``,
            ``exportFormats`` (names separated by commas) and ``exportFolder``.
        formats: names of all formats.
        translate: the module's translation function.
    """

    def __init__(self, widget, formats: Iterable[str], translate: Callable[[str], str]):
        self._widget, self._ui, self._translate = widget, widget.ui, translate
        self._formats = CheckList(self._ui.formatsList, formats, self._on_formats_changed)
        self._ui.exportButton.connect("clicked(bool)", lambda checked=False: self._export())

    def update(self, parameters) -> None:
        """Tick the chosen formats, and enable the button or say why not; ``parameters`` may be None."""
        _ = self._translate
        if parameters is None:
            return
        self._formats.check(parameters.exportFormats.split(","))
        reason = "" if parameters.exportFormats else _("Tick at least one format.")
        if not parameters.mesh:
            reason = _("There is no mesh yet: press Apply.")
        set_enabled(self._ui.exportButton, _("Write the mesh in the chosen formats."), reason)

    def _on_formats_changed(self, names: list[str]) -> None:
        panel = self._widget.panel  # None while it is made
        if panel is not None and panel.parameters:
            panel.parameters.exportFormats = ",".join(names)

    def _export(self) -> None:
        chosen = self._widget.panel.parameters
        with errors_shown():
            self._widget.logic.exportMesh(chosen.mesh, chosen.exportFolder, chosen.exportFormats)
            text = self._translate("Written to {folder}")
            self._ui.statusLabel.text = text.format(folder=chosen.exportFolder)
