"""The modules ``qt`` and ``ctk``: PySide6 used the way PythonQt is used."""

import contextlib
import inspect
import re
import sys
import types

import shibokensupport.feature as shiboken_feature
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

TRUE_PROPERTY = 2
_held: dict[int, list[tuple[str, object, object]]] = {}
"""What the slots of each object hold: signature, slot, and the function that Qt calls; see :func:`_connect`."""
_EXCLUDED = ("QApplication", "QGuiApplication", "QCoreApplication", "QUiLoader")


def enable_true_property(*module_names: str) -> None:
    """Let the named Python modules use Qt properties as attributes."""
    switch = types.ModuleType("_true_property_switch")
    sys.modules[switch.__name__] = switch
    with _plain_modules_only():
        exec("from __feature__ import true_property", switch.__dict__)  # PySide6 reads the caller's __name__
    for name in module_names:
        shiboken_feature.pyside_feature_dict[name] = TRUE_PROPERTY


@contextlib.contextmanager
def _plain_modules_only():
    """Hide lazy pseudo-modules (torch.classes raises on unknown attributes): PySide6 inspects all of sys.modules."""
    hidden = {name: module for name, module in sys.modules.items() if type(module).__module__.startswith("torch.")}
    for name in hidden:
        del sys.modules[name]
    try:
        yield
    finally:
        sys.modules.update(hidden)


def disable_true_property(*module_names: str) -> None:
    """Take :func:`enable_true_property` back."""
    for name in module_names:
        shiboken_feature.pyside_feature_dict.pop(name, None)


def make_qt() -> types.ModuleType:
    """The module ``qt``: every class of the Qt libraries, QObject classes in PythonQt style."""
    qt = types.ModuleType("qt")
    for library in (QtCore, QtGui, QtWidgets, QtUiTools):
        for name in dir(library):
            if not name.startswith("_"):
                setattr(qt, name, getattr(library, name))
    for name, kind in list(vars(qt).items()):
        if isinstance(kind, type) and issubclass(kind, QtCore.QObject) and name not in _EXCLUDED:
            setattr(qt, name, pythonqt_class(type(name, (kind,), {})))
    qt.QTimer = pythonqt_class(_timer_that_holds_slots(qt.QTimer))
    for name in ("getOpenFileName", "getSaveFileName"):  # PythonQt gives the path alone, without the filter
        setattr(qt.QFileDialog, name, staticmethod(_path_only(getattr(QtWidgets.QFileDialog, name))))
    return qt


def _timer_that_holds_slots(kind: type) -> type:
    """QTimer whose ``timeout`` holds its slots until they are disconnected, as PythonQt's signals do."""

    class QTimer(kind):
        timeout = property(lambda self: _HoldingSignal(self, super().timeout))

    return QTimer


class _HoldingSignal:
    """``timer.timeout.connect(slot)``."""

    def __init__(self, owner, raw):
        self._owner, self.raw = owner, raw

    def connect(self, slot) -> None:
        _connect(self._owner, "timeout()", slot)

    def disconnect(self, slot) -> None:
        _disconnect(self._owner, "timeout()", slot)


def _path_only(dialog):
    return lambda *arguments: dialog(*arguments)[0]


def pythonqt_class(kind: type) -> type:
    """Give a Python subclass of a QObject class what PythonQt gives every object."""
    kind.connect, kind.disconnect = _connect, _disconnect
    kind.className = lambda self: type(self).__name__
    kind.name = property(
        lambda self: self.property("objectName"), lambda self, value: self.setProperty("objectName", value)
    )

    def set_known_attribute(self, name: str, value) -> None:
        set_by_loader = isinstance(value, QtCore.QObject)  # PySide6's loader makes child widgets attributes of the top
        if not name.startswith("_") and not hasattr(type(self), name) and not set_by_loader:
            raise AttributeError(f"{type(self).__name__} has no property '{name}'.")
        super(kind, self).__setattr__(name, value)

    kind.__setattr__ = set_known_attribute
    return kind


def _connect(self, signature: str, slot) -> bool:
    """``widget.connect("clicked(bool)", slot)``; like PythonQt, a slot gets as many arguments as it takes.

    Like PythonQt, the object holds the slot, and so what the slot is a method of, until it is disconnected or the
    object is deleted: an owner that holds the object itself is never let go otherwise.
    """
    match = re.fullmatch(r"(\w+)\((.*)\)", signature)
    found = match and _signal(self, match[1])
    if not isinstance(found, QtCore.SignalInstance):
        raise ValueError(f"{type(self).__name__} has no signal '{signature}'.")
    signal_arguments = len([kind for kind in match[2].split(",") if kind])
    arity = min(signal_arguments, _positional_count(slot))
    adapter = _adapter(slot, arity)
    found.connect(adapter)
    key = id(self)
    if key not in _held:
        _held[key] = []
        self.destroyed.connect(lambda *_: _held.pop(key, None))
    _held[key].append((signature, slot, adapter))
    return True


def _signal(self, name: str):
    found = getattr(self, name, None)
    return found.raw if isinstance(found, _HoldingSignal) else found


def _disconnect(self, signature: str, slot) -> bool:
    """Undo one :func:`_connect` of the same signature and slot."""
    for number, (held_signature, held_slot, adapter) in enumerate(_held.get(id(self), ())):
        if held_signature == signature and held_slot == slot:
            _signal(self, signature.partition("(")[0]).disconnect(adapter)
            del _held[id(self)][number]
            return True
    raise ValueError(f"{type(self).__name__}: '{signature}' is not connected to {slot}.")


def _adapter(slot, arity: int):
    """PySide6 passes as many arguments as a function takes, default values left aside."""

    def without_argument():
        slot()

    def with_argument(value):
        slot(value)

    return with_argument if arity else without_argument


def _positional_count(slot) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in kinds for parameter in inspect.signature(slot).parameters.values())
