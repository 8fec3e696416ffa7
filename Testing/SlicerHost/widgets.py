"""The CTK and MRML widgets that the panels' ``.ui`` files name, acting on the real scene, and the loader for them."""

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from .pythonqt import pythonqt_class

Property, Signal = QtCore.Property, QtCore.Signal


class ctkCollapsibleButton(QtWidgets.QGroupBox):
    """A titled section; its text is the title."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._collapsed = False

    def _set_collapsed(self, collapsed):
        self._collapsed = collapsed
        for child in self.findChildren(QtWidgets.QWidget):
            child.visible = not collapsed

    text = Property(str, lambda self: self.title, lambda self, text: setattr(self, "title", text))
    collapsed = Property(bool, lambda self: self._collapsed, _set_collapsed)


class ctkSliderWidget(QtWidgets.QWidget):
    """A number with range, step and unit, shown as a spin box."""

    valueChanged = Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._box = QtWidgets.QDoubleSpinBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.addWidget(self._box)
        layout.contentsMargins = QtCore.QMargins(0, 0, 0, 0)
        self._box.valueChanged.connect(self.valueChanged)

    def _forward(kind, name):
        return Property(
            kind, lambda self: getattr(self._box, name), lambda self, value: setattr(self._box, name, value)
        )

    value = _forward(float, "value")
    minimum = _forward(float, "minimum")
    maximum = _forward(float, "maximum")
    singleStep = _forward(float, "singleStep")
    decimals = _forward(int, "decimals")
    suffix = _forward(str, "suffix")


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path with a button to browse for it (the button is not part of the host)."""

    currentPathChanged = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._edit = QtWidgets.QLineEdit(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.addWidget(self._edit)
        layout.contentsMargins = QtCore.QMargins(0, 0, 0, 0)
        self._edit.textChanged.connect(self.currentPathChanged)

    def _set_path(self, path):
        self._edit.text = path

    currentPath = Property(str, lambda self: self._edit.text, _set_path)
    Dirs = 1


class qMRMLWidget(QtWidgets.QWidget):
    """A panel; tells the widgets connected to it in the ``.ui`` file which scene to use."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def setMRMLScene(self, scene):
        """Use a scene here and in all connected widgets."""
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        """The scene in use."""
        return self._scene


class ModuleWidgetParent(qMRMLWidget):
    """The widget that Slicer gives a module's panel (``qSlicerScriptedLoadableModuleWidget``)."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._entered = False

    isEntered = Property(bool, lambda self: self._entered, lambda self, entered: setattr(self, "_entered", entered))


class qMRMLNodeComboBox(QtWidgets.QComboBox):
    """Lists the scene's nodes of some classes, hidden ones left out."""

    currentNodeChanged = Signal(object)
    nodeActivated = Signal(object)
    """Only the user's choice in the list; :meth:`choose` makes one."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None
        self._observers = []
        self._ids: list[str] = []
        self._node = None
        self._types: list[str] = []
        self._attributes: dict[str, tuple[str, str | None]] = {}
        self._options = {"noneEnabled": False, "noneDisplay": "None"}
        self.currentIndexChanged.connect(self._picked)

    def _option(kind, name):
        def write(self, value):
            self._options[name] = value
            self._refresh()

        return Property(kind, lambda self: self._options.get(name), write)

    def _set_types(self, types):
        self._types = list(types)
        self._refresh()

    nodeTypes = Property("QStringList", lambda self: self._types, _set_types)
    noneEnabled = _option(bool, "noneEnabled")
    noneDisplay = _option(str, "noneDisplay")
    addEnabled = _option(bool, "addEnabled")
    removeEnabled = _option(bool, "removeEnabled")
    renameEnabled = _option(bool, "renameEnabled")

    def setMRMLScene(self, scene):
        """Follow a scene."""
        for tag in self._observers:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent)
        self._observers = [scene.AddObserver(event, lambda *_: self._refresh()) for event in events]
        self._refresh()

    def addAttribute(self, node_type, name, value):
        """List nodes of a type only if they have an attribute, of this value unless it is None."""
        if node_type in self._types:  # as qMRMLSortFilterProxyModel does
            self._attributes[node_type] = (name, value)
            self._refresh()

    def _lists(self, node) -> bool:
        for kind in self._types:
            if node.IsA(kind) and not node.GetHideFromEditors():
                name, value = self._attributes.get(kind, (None, None))
                stated = node.GetAttribute(name) if name else ""
                return stated is not None and value in (None, stated)
        return False

    def currentNode(self):
        """The chosen node or None."""
        return self._node

    def setCurrentNode(self, node):
        """Choose a node; one that is not listed counts as None."""
        if node is not None and node.GetID() not in self._ids:  # it may have the attribute by now
            self._list()
        index = self._ids.index(node.GetID()) if node is not None and node.GetID() in self._ids else self._none_index()
        self._show(index)
        self._change(node if index >= 0 and self._ids[index] else None)

    def choose(self, node):
        """Choose a node as the user does in the list."""
        self.setCurrentNode(node)
        self.nodeActivated.emit(node)

    def _none_index(self) -> int:
        return 0 if self._options["noneEnabled"] else -1

    def _refresh(self):
        if self._scene is not None:
            self._list()
            self.setCurrentNode(self._node)

    def _list(self):
        nodes = [self._scene.GetNthNode(number) for number in range(self._scene.GetNumberOfNodes())]
        listed = [node for node in nodes if self._lists(node)]
        self.blockSignals(True)
        self.clear()
        self._ids = [""] if self._options["noneEnabled"] else []
        self.addItems([self._options["noneDisplay"]] * len(self._ids) + [node.GetName() for node in listed])
        self._ids += [node.GetID() for node in listed]
        self.blockSignals(False)

    def _show(self, index: int):
        self.blockSignals(True)
        self.currentIndex = index
        self.blockSignals(False)

    def _picked(self, index: int):
        self._change(self._scene.GetNodeByID(self._ids[index]) if index >= 0 and self._ids[index] else None)

    def _change(self, node):
        if node is not self._node:
            self._node = node
            self.currentNodeChanged.emit(node)


CTK_WIDGETS = (ctkCollapsibleButton, ctkPathLineEdit, ctkSliderWidget)
MRML_WIDGETS = (qMRMLWidget, qMRMLNodeComboBox)
for widget_class in (*CTK_WIDGETS, *MRML_WIDGETS, ModuleWidgetParent):
    pythonqt_class(widget_class)


def make_ui_loader(qt) -> type:
    """``qt.QUiLoader``: makes PythonQt-style and custom widgets, and the scene connections that the file states."""
    custom = {kind.__name__: kind for kind in (*CTK_WIDGETS, *MRML_WIDGETS)}

    class QUiLoader(QtUiTools.QUiLoader):
        def createWidget(self, class_name, parent=None, name=""):
            kind = custom.get(class_name) or getattr(qt, class_name)
            widget = kind(parent)
            widget.objectName = name
            return widget

        def load(self, file):
            root = ElementTree.fromstring(file.readAll().data())
            connections = root.findall("./connections/connection")
            root.remove(root.find("connections"))  # they name C++ types that only Slicer has
            buffer = QtCore.QBuffer()
            buffer.setData(ElementTree.tostring(root))
            buffer.open(QtCore.QIODevice.ReadOnly)
            widget = super().load(buffer)
            for section in widget.findChildren(ctkCollapsibleButton):
                section.collapsed = section.collapsed  # the file states it before the section has any children
            for connection in connections:
                _connect_scene(widget, {part.tag: part.text for part in connection})
            return widget

    return QUiLoader


def _connect_scene(panel, stated: dict[str, str]) -> None:
    expected = {"signal": "mrmlSceneChanged(vtkMRMLScene*)", "slot": "setMRMLScene(vtkMRMLScene*)"}
    if stated["sender"] != panel.objectName or any(stated[key] != value for key, value in expected.items()):
        raise ValueError(f"The host knows only the panel's scene connections, not {stated}.")
    receiver = panel.findChild(QtWidgets.QWidget, stated["receiver"])
    panel.mrmlSceneChanged.connect(receiver.setMRMLScene)
