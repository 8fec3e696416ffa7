"""Controls that the module panels share: buttons that say why they are off, buttons of a result, a list to tick."""

from collections.abc import Callable, Iterable, Mapping

from CardiacLib.mrml.translation import _

from .module_panel import errors_shown
from .results import Result, result_of


def set_enabled(button, tip: str, reason: str) -> None:
    """Enable a control where ``reason`` is empty; the tool tip says what it does, or why it does nothing now."""
    button.enabled = not reason
    button.toolTip = reason or tip


class ResultButtons:
    """Buttons that show something of a result.

    Args:
        ui: the loaded ``.ui``.
        shown: name of each button to the name of a node or fact of the result, what to do with it, and the tool tip.
        missing: the tool tip of a button whose node or fact is not there.
    """

    def __init__(self, ui, shown: Mapping[str, tuple[str, Callable, str]], missing: str):
        self._ui, self._shown, self._missing = ui, shown, missing
        self._result = Result({}, {})
        for name in shown:
            getattr(ui, name).connect("clicked(bool)", lambda checked=False, name=name: self._show(name))

    def update(self, result: Result) -> None:
        """Enable the buttons whose node or fact is there."""
        self._result = result
        for name, (key, _action, tip) in self._shown.items():
            reason = "" if self._value(key) is not None else self._missing
            set_enabled(getattr(self._ui, name), tip, reason)

    def _value(self, key: str):
        return self._result.nodes.get(key, self._result.facts.get(key))

    def _show(self, name: str) -> None:
        key, action, _tip = self._shown[name]
        with errors_shown():
            action(self._value(key))


USUAL_TIP = "usualToolTip"
"""Property of a label: its tooltip where its text has no reason of its own."""


def show_output(ui, output, labels: Mapping[str, str], buttons: ResultButtons) -> None:
    """Show the result that the chosen output carries; nothing of one where a new output will be made.

    Args:
        ui: the loaded ``.ui``; its ``outputNameEdit`` takes a name only for a new output.
        output: the chosen node or None.
        labels: name of a label to the name of the fact that it shows; the fact ``<name> why``, if any, is its tooltip.
        buttons: of the result.
    """
    result = result_of(output)
    for name, fact in labels.items():
        label = getattr(ui, name)
        label.text = result.facts.get(fact, "")
        usual = label.property(USUAL_TIP) or label.toolTip
        label.setProperty(USUAL_TIP, usual)
        label.toolTip = result.facts.get(f"{fact} why", "") or usual
    buttons.update(result)
    reason = "" if output is None else _("The chosen output is updated and keeps its name.")
    set_enabled(ui.outputNameEdit, _("Name of a new output; made from the input's name if left empty."), reason)


class CheckList:
    """A QListWidget as a list of names to tick.

    Args:
        widget: the list; filled here.
        names: of the entries.
        on_change: called with the ticked names, in this order, when the user has ticked one or taken a tick away.
    """

    def __init__(self, widget, names: Iterable[str], on_change: Callable[[list[str]], None]):
        import qt

        self._checked, self._unchecked = qt.Qt.Checked, qt.Qt.Unchecked
        self._items, self._on_change = [], on_change
        for name in names:
            item = qt.QListWidgetItem(name)
            item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(self._unchecked)
            widget.addItem(item)
            self._items.append(item)
        widget.connect("itemChanged(QListWidgetItem*)", self._changed)

    def checked(self) -> list[str]:
        """The names that are ticked."""
        return [item.text() for item in self._items if item.checkState() == self._checked]

    def check(self, names: Iterable[str]) -> None:
        """Tick these names and no others."""
        for item in self._items:
            state = self._checked if item.text() in names else self._unchecked
            if item.checkState() != state:
                item.setCheckState(state)

    def _changed(self, item=None) -> None:
        self._on_change(self.checked())
