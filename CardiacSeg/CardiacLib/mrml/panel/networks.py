"""The Network section of a panel: licence notice, where the weights are, and the buttons that get or remove them."""

import json
from collections.abc import Callable
from pathlib import Path

from CardiacLib.networks.bundles import bundle_path, cache_folder
from CardiacLib.networks.manifest import manifest
from CardiacLib.networks.model_store import begun_bytes, clear, discard_unfinished, weights_source

from .controls import set_enabled
from .module_panel import errors_shown
from .processes import JobRequest

WORKER = "CardiacLib"
WEIGHT_FILES = "*.pt *.ts *.zip"


def licence_of(name: str) -> str:
    """What a bundle says of its licence."""
    meta = json.loads((bundle_path(name) / "configs" / "metadata.json").read_text(encoding="utf-8"))
    return meta["copyright"]


def licence_text(name: str, translate: Callable[[str], str]) -> str:
    """The licence of a bundle in words, with what it forbids."""
    stated = licence_of(name)
    commerce = [translate("Not for commercial use.")] if "BY-NC" in stated else []
    return " ".join([stated, *commerce, translate("For research use only.")])


class NetworkSection:
    """Drives ``weightsLabel``, ``licenceLabel``, ``fetchButton``, ``importButton`` and ``clearButton`` of a panel.

    Fetching and importing run in the panel's own worker, so its progress bar shows them and Cancel stops them.

    Args:
        widget: the module's widget: ``ui``, ``panel``, ``moduleName``, ``parent``; parameters have ``bundle``.
        translate: the module's translation function.
    """

    def __init__(self, widget, translate: Callable[[str], str]):
        self._widget, self._ui, self._translate = widget, widget.ui, translate
        self._name = ""
        self._ui.fetchButton.connect("clicked(bool)", lambda checked=False: self._fetch())
        self._ui.importButton.connect("clicked(bool)", lambda checked=False: self._import())
        self._ui.clearButton.connect("clicked(bool)", lambda checked=False: self._clear())

    def reason(self, name: str) -> str:
        """Why the network cannot be used; empty if it can."""
        if weights_source(name)["state"] != "missing":
            return ""
        return self._translate("The weights of {name} are not here: fetch or import them.").format(name=name)

    def update(self, parameters) -> None:
        """Show the state of the chosen network's weights; ``parameters`` may be None."""
        if parameters is None:
            return
        _ = self._translate
        self._name = name = parameters.bundle
        source = weights_source(name)
        texts = {
            "shipped": _("come with CineHeart"),
            "fetched": _("fetched from {source}").format(source=source.get("from")),
            "imported": _("imported from {source}").format(source=source.get("from")),
            "missing": _("not here: fetch or import them"),
            "begun": _("{size} MB of them are here: Fetch goes on").format(size=round(begun_bytes(name) / 1e6, 1)),
        }
        state = source["state"]
        if state == "missing" and begun_bytes(name):
            state = "begun"
        self._ui.weightsLabel.text = texts[state]
        self._ui.licenceLabel.text = self._licence(source)
        panel = self._widget.panel  # None while it is made
        running = _("Running; press Cancel to stop.") if panel is not None and panel.running else ""
        for button, tip, reason in self._buttons(state, name in manifest()):
            set_enabled(button, tip, running or reason)

    def _licence(self, source: dict) -> str:
        if source.get("published") is False:
            text = self._translate("'{file}' is not the published file: its author's licence applies.")
            return f"{text.format(file=source['from'])} {self._translate('For research use only.')}"
        return licence_text(self._name, self._translate)

    def _buttons(self, state: str, published: bool):
        """(button, tool tip, why it is off) of the three buttons."""
        _ = self._translate
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
        self._start("fetch", {})

    def _import(self) -> None:
        import qt

        title = self._translate("Weights of {name}").format(name=self._name)
        path = qt.QFileDialog.getOpenFileName(self._widget.parent, title, "", f"{title} ({WEIGHT_FILES})")
        if path:  # empty: the user pressed Cancel
            self._start("import", {"path": str(Path(path))})

    def _start(self, task: str, options: dict[str, str]) -> None:
        name, cache = self._name, str(cache_folder())

        def make_request() -> JobRequest:
            from .dependencies import ensure_dependencies

            ensure_dependencies(self._widget.moduleName)
            return JobRequest(WORKER, task, {}, {"name": name, "cache": cache} | options)

        def done(nothing) -> str:
            return self._translate("The weights of {name} are here.").format(name=name)

        def clean_up(stopped: bool) -> None:
            discard_unfinished(name, cache, keep_download=not stopped or task != "fetch")

        self._widget.panel.start(make_request, done, on_end=clean_up)

    def _clear(self) -> None:
        with errors_shown():
            freed = clear(self._name)
            text = self._translate("Removed the weights of {name} ({size} MB).")
            self._ui.statusLabel.text = text.format(name=self._name, size=round(freed / 1e6, 1))
        self._widget.panel.update()
