"""``slicer.parameterNodeWrapper``: typed access to a parameter node and its binding to widgets.

Covers what the panels use: nodes, enums, numbers, text and paths; ``Choice`` and ``WithinRange``; the properties
``SlicerParameterName`` of a ``.ui`` file. Values live in the real parameter node, so they are saved with the scene.
As in Slicer, a wrapper reads a value when it is made and whenever the node is modified, and hands out what it has read:
a node reference that could not be resolved at that moment, as during the import of a scene, stays None.
"""

import enum
import typing
import weakref
from dataclasses import dataclass
from pathlib import Path

import slicer

__all__ = ["Choice", "WithinRange", "parameterNodeWrapper"]

PROPERTY = "SlicerParameterName"


@dataclass(frozen=True)
class Choice:
    """The value is one of ``choices``."""

    choices: list

    def validate(self, value):
        """Raise ValueError for any other value."""
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


@dataclass(frozen=True)
class WithinRange:
    """The number lies within the range, ends included."""

    minimum: float
    maximum: float

    def validate(self, value):
        """Raise ValueError for a number outside."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} to {self.maximum}")


class _Parameter:
    """One annotated attribute of a wrapped class."""

    def __init__(self, name: str, hint, default):
        self.name = name
        self.annotations = list(getattr(hint, "__metadata__", ()))
        self.kind = hint.__origin__ if self.annotations else hint
        self.is_node = isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)
        is_enum = isinstance(self.kind, type) and issubclass(self.kind, enum.Enum)
        if not self.is_node and not is_enum and self.kind not in (str, int, float, bool, Path):
            raise TypeError(f"{name}: the host knows no parameter of type {self.kind}.")
        self.default = default if default is not None or self.is_node else self.kind()

    def is_in(self, node) -> bool:
        return self.name in node.GetParameterNames()

    def read(self, node):
        if not self.is_in(node):  # a wrapper that outlives the closing of its scene
            self.write(node, self.default)
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if isinstance(self.kind, enum.EnumMeta):
            return self.kind[text]
        return text == "true" if self.kind is bool else self.kind(text)

    def write(self, node, value) -> None:
        if self.is_node:
            node.SetParameter(self.name, "")  # tells that the parameter is there, also where it is None
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        if not isinstance(value, self.kind):
            raise TypeError(f"{self.name} takes {self.kind.__name__}, not {value!r}")
        for annotation in self.annotations:
            annotation.validate(value)
        text = value.name if isinstance(value, enum.Enum) else str(value)
        node.SetParameter(self.name, text.lower() if self.kind is bool else text)

    def property(self) -> property:
        return property(
            lambda wrapper: wrapper._cached[self.name].value,
            lambda wrapper, value: wrapper._cached[self.name].write(value),
        )


class _Cached:
    """The value of one parameter of one node, read again whenever the node is modified."""

    def __init__(self, parameter: _Parameter, node):
        self._parameter, self._node, self._writing = parameter, node, False
        self.value = parameter.read(node)
        this = weakref.ref(self)
        self._tag = node.AddObserver("ModifiedEvent", lambda *_: this() and this()._modified())

    def __del__(self):
        self._node.RemoveObserver(self._tag)

    def write(self, value) -> None:
        self._writing = True
        try:
            with slicer.util.NodeModify(self._node):
                self._parameter.write(self._node, value)
                self.value = self._parameter.read(self._node)
        finally:
            self._writing = False

    def _modified(self) -> None:
        if not self._writing:
            self.value = self._parameter.read(self._node)


def parameterNodeWrapper(wrapped: type) -> type:
    """Class decorator: annotated attributes become typed parameters of the node given to the constructor."""
    hints = typing.get_type_hints(wrapped, include_extras=True)
    parameters = {name: _Parameter(name, hint, getattr(wrapped, name, None)) for name, hint in hints.items()}
    members = {name: parameter.property() for name, parameter in parameters.items()}
    members |= {"allParameters": parameters, "__doc__": wrapped.__doc__, "dataType": staticmethod(hints.__getitem__)}
    return type(wrapped.__name__, (_ParameterNode,), members)


class _ParameterNode:
    """Base of wrapped classes."""

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._bindings: dict[int, tuple[dict, int]] = {}
        self._updating = False
        self._cached = {}
        for name, parameter in self.allParameters.items():
            if not parameter.is_in(parameterNode):
                parameter.write(parameterNode, parameter.default)
            self._cached[name] = _Cached(parameter, parameterNode)

    def AddObserver(self, event, callback):
        """Observe the node."""
        return self.parameterNode.AddObserver(event, callback)

    def RemoveObserver(self, tag):
        """End an observation."""
        self.parameterNode.RemoveObserver(tag)

    def connectGui(self, ui) -> int:
        """Bind every widget of ``ui`` that carries a parameter's name; returns a tag for :meth:`disconnectGui`."""
        named = {widget.property(PROPERTY): widget for widget in vars(ui).values() if widget.property(PROPERTY)}
        unknown = set(named) - set(self.allParameters)
        if unknown:
            raise ValueError(f"The .ui file names unknown parameters {unknown}.")
        bindings = {name: _bind(widget, self.allParameters[name]) for name, widget in named.items()}
        tag = len(self._bindings) + 1
        observer = self.AddObserver("ModifiedEvent", lambda *_: self._update_gui())
        self._bindings[tag] = (bindings, observer)
        self._update_gui()
        for name, binding in bindings.items():
            binding.slot = lambda *_, name=name, binding=binding: self._update_node(name, binding)
            binding.signal.connect(binding.slot)
        return tag

    def disconnectGui(self, tag: int) -> None:
        """Undo :meth:`connectGui`."""
        bindings, observer = self._bindings.pop(tag)
        self.RemoveObserver(observer)
        for binding in bindings.values():
            binding.signal.disconnect(binding.slot)

    def _update_gui(self) -> None:
        if self._updating:
            return
        self._updating = True
        for bindings, _ in self._bindings.values():
            for name, binding in bindings.items():
                binding.write(getattr(self, name))
        self._updating = False

    def _update_node(self, name: str, binding) -> None:
        if not self._updating:
            setattr(self, name, binding.read())


@dataclass
class _Binding:
    signal: object
    read: typing.Callable
    write: typing.Callable
    slot: object = None


def _bind(widget, parameter: _Parameter) -> _Binding:
    """How a widget shows a parameter; the pairs are those that Slicer documents."""
    kind = type(widget).__name__
    if kind == "qMRMLNodeComboBox" and parameter.is_node:
        widget.nodeTypes = [parameter.kind.__name__]
        return _Binding(widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode)
    if kind == "QComboBox":
        return _bind_combo(widget, parameter)
    if kind == "QLineEdit" and parameter.kind is str:
        return _attribute(widget, "text", widget.textChanged)
    if kind == "QCheckBox" and parameter.kind is bool:
        return _attribute(widget, "checked", widget.stateChanged)
    if kind == "ctkPathLineEdit" and parameter.kind is Path:
        return _Binding(
            widget.currentPathChanged,
            lambda: Path(widget.currentPath),
            lambda value: setattr(widget, "currentPath", str(value)),
        )
    number = {"ctkSliderWidget": float, "QDoubleSpinBox": float, "QSpinBox": int}.get(kind)
    if number is not None and parameter.kind is number:
        limits = next(found for found in parameter.annotations if isinstance(found, WithinRange))
        widget.minimum, widget.maximum = limits.minimum, limits.maximum
        return _attribute(widget, "value", widget.valueChanged)
    raise RuntimeError(f"No binding of {parameter.name} ({parameter.kind.__name__}) to a {kind}.")


def _bind_combo(widget, parameter: _Parameter) -> _Binding:
    if isinstance(parameter.kind, enum.EnumMeta):
        values = list(parameter.kind)
        label = getattr(parameter.kind, "label", lambda value: value.name)
    else:
        values = next(found.choices for found in parameter.annotations if isinstance(found, Choice))
        label = str
    widget.clear()
    widget.addItems([label(value) for value in values])

    def write(value):
        widget.currentIndex = values.index(value)

    return _Binding(widget.currentIndexChanged, lambda: values[widget.currentIndex], write)


def _attribute(widget, name: str, signal) -> _Binding:
    return _Binding(signal, lambda: getattr(widget, name), lambda value: setattr(widget, name, value))
