"""The Network section of a panel: licence notice, where the weights are, and the buttons that get or remove them."""

from pathlib import Path

from CardiacLib.mrml.translation import _
from CardiacLib.networks.bundles import bundle_metadata, bundle_path, cache_folder
from CardiacLib.networks.manifest import manifest
from CardiacLib.networks.model_store import WeightsSource, begun_bytes, clear, discard_unfinished, weights_source

from .consent import licence_of
from .controls import set_enabled
from .dependencies import WEIGHTS_REQUIREMENTS, ensure_dependencies
from .module_panel import ModulePanel, errors_shown
from .processes import JobRequest

WEIGHT_FILES = "*.pt *.ts *.zip"


def licence_text(name: str) -> str:
    """The licence of a bundle in words, with what it forbids."""
    stated = licence_of(name)
    commerce = [_("Not for commercial use.")] if "BY-NC" in stated else []
    return " ".join([stated, *commerce, _("For research use only.")])


class NetworkSection:
    """Drives ``weightsLabel``, ``licenceLabel``, ``fetchButton``, ``importButton`` and ``clearButton`` of a panel.

    Fetching and importing run in the panel's own worker, so its progress bar shows them and Cancel stops them.

    Args:
        panel: that the widgets belong to; its parameters have ``bundle``.
    """

    def __init__(self, panel: ModulePanel):
        self._panel, self._ui = panel, panel.ui
        self._name = ""
        self._ui.fetchButton.connect("clicked(bool)", lambda checked=False: self._fetch())
        self._ui.importButton.connect("clicked(bool)", lambda checked=False: self._import())
        self._ui.clearButton.connect("clicked(bool)", lambda checked=False: self._clear())

    def reason(self, name: str) -> str:
        """Why the network cannot be used; empty if it can."""
        if weights_source(name).state != "missing":
            return ""
        return _("The weights of {name} are not here: fetch or import them.").format(name=name)

    def update(self, parameters, used: str = "") -> None:
        """Show the state of a network's weights.

        Args:
            parameters: of the panel; may be None.
            used: the network that takes the place of the chosen one, if one does: it is named, and none can be chosen.
        """
        if parameters is None:
            return
        self._name = name = used or parameters.bundle
        replaced = name != parameters.bundle
        tip = self._ui.bundleSelectorLabel.toolTip
        set_enabled(self._ui.bundleSelector, tip, _("These networks were made for people.") if replaced else "")
        source = weights_source(name)
        texts = {
            "shipped": _("come with CineHeart"),
            "fetched": _("fetched from {source}").format(source=source.origin),
            "imported": _("imported from {source}").format(source=source.origin),
            "missing": _("not here: fetch or import them"),
            "begun": _("{size} MB of them are here: Fetch goes on").format(size=round(begun_bytes(name) / 1e6, 1)),
        }
        state = source.state
        if state == "missing" and begun_bytes(name):
            state = "begun"
        title = bundle_metadata(bundle_path(name))["name"] + ": " if replaced else ""
        self._ui.weightsLabel.text = title + texts[state]
        self._ui.licenceLabel.text = self._licence(source)
        for button, tip, reason in self._buttons(state, name in manifest()):
            set_enabled(button, tip, self._panel.running_or(reason))

    def _licence(self, source: WeightsSource) -> str:
        if source.published is False:
            text = _("'{file}' is not the published file: its author's licence applies.")
            return f"{text.format(file=source.origin)} {_('For research use only.')}"
        return licence_text(self._name)

    def _buttons(self, state: str, published: bool):
        """(button, tool tip, why it is off) of the three buttons."""
        shipped = _("These weights come with CineHeart.") if state == "shipped" else ""
        there = _("The weights are here already; clear them first.") if state in ("fetched", "imported") else ""
        unpublished = "" if published else _("Nothing is published for this network; import a file.")
        missing = _("There are no weights to clear.") if state == "missing" else ""
        page = manifest()[self._name].page if published else ""
        yield (
            self._ui.fetchButton,
            _("Download the published weights ({page}).").format(page=page),
            shipped or there or unpublished,
        )
        yield self._ui.importButton, _("Take weights from a file (.pt, .ts, or the .zip of a MONAI bundle)."), shipped
        folder = cache_folder()
        yield self._ui.clearButton, _("Remove these weights from {folder}.").format(folder=folder), shipped or missing

    def _fetch(self) -> None:
        self._start("fetch_weights")

    def _import(self) -> None:
        import qt

        title = _("Weights of {name}").format(name=self._name)
        path = qt.QFileDialog.getOpenFileName(self._panel.widget.parent, title, "", f"{title} ({WEIGHT_FILES})")
        if path:  # empty: the user pressed Cancel
            self._start("import_weights", path=str(Path(path)))

    def _start(self, task: str, **arguments: str) -> None:
        name, cache = self._name, str(cache_folder())

        def make_request() -> JobRequest:
            ensure_dependencies(self._panel.widget.moduleName, optional=WEIGHTS_REQUIREMENTS)
            return JobRequest(task, {"name": name, "cache": cache} | arguments)

        def done(nothing) -> str:
            return _("The weights of {name} are here.").format(name=name)

        def clean_up(stopped: bool) -> None:
            discard_unfinished(name, cache, keep_download=not stopped or task != "fetch_weights")

        self._panel.start(make_request, done, on_end=clean_up)

    def _clear(self) -> None:
        with errors_shown():
            freed = clear(self._name)
            text = _("Removed the weights of {name} ({size} MB).")
            self._ui.statusLabel.text = text.format(name=self._name, size=round(freed / 1e6, 1))
        self._panel.update()
