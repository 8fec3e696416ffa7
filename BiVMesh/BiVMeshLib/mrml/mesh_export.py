"""The Export section of the mesh panel: formats to tick, a folder, and a button."""

from BiVMeshLib.exporters import FORMATS
from CardiacLib.mrml.panel.controls import CheckList, set_enabled
from CardiacLib.mrml.panel.module_panel import ModulePanel
from CardiacLib.mrml.translation import _

from .export import export_request


class MeshExportSection:
    """Drives ``formatsList`` and ``exportButton`` of the mesh panel.

    Args:
        panel: that the widgets belong to; its parameters have ``mesh``, ``exportFormats`` (names separated by commas)
            and ``exportFolder``.
    """

    def __init__(self, panel: ModulePanel):
        self._panel, self._ui = panel, panel.ui
        self._formats = CheckList(self._ui.formatsList, FORMATS, self._on_formats_changed)
        self._ui.exportButton.connect("clicked(bool)", lambda checked=False: self._export())

    def update(self, parameters) -> None:
        """Tick the chosen formats, and enable the button or say why not; ``parameters`` may be None."""
        if parameters is None:
            return
        self._formats.check(parameters.exportFormats.split(","))
        reason = "" if parameters.exportFormats else _("Tick at least one format.")
        if not parameters.mesh:
            reason = _("There is no mesh yet: press Apply.")
        set_enabled(self._ui.exportButton, _("Write the mesh in the chosen formats."), self._panel.running_or(reason))

    def _on_formats_changed(self, names: list[str]) -> None:
        if self._panel.parameters:
            self._panel.parameters.exportFormats = ",".join(names)

    def _export(self) -> None:
        chosen = self._panel.parameters
        mesh, folder, formats = chosen.mesh, chosen.exportFolder, chosen.exportFormats

        def done(nothing) -> str:
            return _("Written to {folder}").format(folder=folder)

        self._panel.start(lambda: export_request(mesh, folder, formats), done)
