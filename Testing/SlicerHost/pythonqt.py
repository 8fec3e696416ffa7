"""The modules ``qt`` and ``ctk``: PySide6 used the way PythonQt is used."""

import contextlib
import inspect
import re
import sys
import types

import shibokensupport.feature as shiboken_feature
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

TRUE_PROPERTY = 2
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
    for name in ("getOpenFileName", "getSaveFileName"):  # PythonQt gives the path alone, without the filter
        setattr(qt.QFileDialog, name, staticmethod(_path_only(getattr(QtWidgets.QFileDialog, name))))
    return qt


def _path_only(dialog):
    return lambda *arguments: dialog(*arguments)[0]


def pythonqt_class(kind: type) -> type:
    """Give a Python subclass of a QObject class what PythonQt gives every object."""
    kind.connect = _connect
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
    """``widget.connect("clicked(bool)", slot)``; like PythonQt, a slot gets as many arguments as it takes."""
    match = re.fullmatch(r"(\w+)\((.*)\)", signature)
    if match is None or not isinstance(getattr(self, match[1], None), QtCore.SignalInstance):
        raise ValueError(f"{type(self).__name__} has no signal '{signature}'.")
    signal_arguments = len([kind for kind in match[2].split(",") if kind])
    arity = min(signal_arguments, _positional_count(slot))
    getattr(self, match[1]).connect(_adapter(slot, arity))
    return True


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
