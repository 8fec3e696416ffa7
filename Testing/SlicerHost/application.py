"""The host itself: installs the stand-ins, loads module files, opens panels, photographs them, takes all back."""

import importlib.util
import os
import stat
import sys
import tempfile
import time
import types
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtWidgets

from . import pythonqt, widgets

_QT_STYLE_MODULES = (
    *(f"{__package__}.{name}" for name in ("application", "parameters", "pythonqt", "scripted", "widgets")),
    *(f"CardiacLib.mrml.panel.{name}" for name in ("controls", "dicom_export", "module_panel", "networks")),
    *(f"CardiacLib.mrml.panel.{name}" for name in ("processes", "studies")),
    *(f"{library}.mrml.panel" for library in ("CardiacSegLib", "CardiacLandmarksLib", "BiVMeshLib")),
    *(f"BiVMeshLib.mrml.{name}" for name in ("mesh_export", "propagation")),
    "slicer.util",
)


class SlicerHost:
    """A context in which module files run as in Slicer. ``modules`` are their paths, in the order of loading."""

    def __init__(self, *modules: str | Path, style_modules: tuple[str, ...] = ()):
        self._paths = [Path(path).resolve() for path in modules]
        self._style = (*_QT_STYLE_MODULES, *(path.stem for path in self._paths), *style_modules)
        self._at_startup: list = []
        self._panels: list[tuple[object, QtWidgets.QWidget]] = []
        self.errors: list[str] = []
        """Texts that ``slicer.util.errorDisplay`` was asked to show."""

    def __enter__(self) -> "SlicerHost":
        import slicer
        import slicer.util

        self._before = (dict(sys.modules), list(sys.path), dict(vars(slicer)), dict(os.environ))
        self._error_display = slicer.util.errorDisplay
        self._folder = tempfile.TemporaryDirectory(prefix="slicer-host-")
        self.application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        for path in self._paths:  # Slicer puts every module's folder on the path before it loads any
            sys.path.append(str(path.parent))
        self._install_qt(slicer)
        self._install_scene(slicer)
        self._install_application(slicer)
        self._install_python_layer(slicer)
        for path in self._paths:
            self._load(slicer, path)
        for slot in self._at_startup:
            slot()
        return self

    def __exit__(self, *_) -> None:
        import slicer

        self.close_panels()
        slicer.util.errorDisplay = self._error_display
        modules, path, names, environment = self._before
        for name in set(sys.modules) - set(modules):
            if name.split(".")[0] in ("qt", "ctk", "slicer", "SampleData") or name in self._style:
                del sys.modules[name]
        sys.path[:] = path
        for name in set(vars(slicer)) - set(names):
            delattr(slicer, name)
        vars(slicer).update(names)
        os.environ.clear()
        os.environ.update(environment)
        pythonqt.disable_true_property(*self._style)
        self._folder.cleanup()

    def open_panel(self, name: str):
        """Make a module's panel as Slicer does when it is first shown, and enter it; returns the widget object."""
        import slicer

        parent = widgets.ModuleWidgetParent()
        QtWidgets.QVBoxLayout(parent)
        parent.setMRMLScene(slicer.mrmlScene)
        panel = getattr(sys.modules[name], f"{name}Widget")(parent)
        panel.setup()
        parent.isEntered = True
        panel.enter()
        parent.resize(480, parent.sizeHint.height())
        parent.show()
        self._panels.append((panel, parent))
        self.process_events()
        return panel

    def close_panels(self) -> None:
        """Unload every panel, as when Slicer closes."""
        while self._panels:
            panel, parent = self._panels.pop()
            panel.cleanup()
            parent.close()
            parent.deleteLater()
        self.process_events()

    def process_events(self) -> None:
        """Run what Qt has pending."""
        self.application.processEvents()

    def wait_until(self, condition, timeout_s: float = 300.0) -> None:
        """Run the event loop until ``condition()`` holds.

        Raises:
            TimeoutError: it did not within the time.
        """
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("The panel did not get there in time.")
            self.process_events()
            time.sleep(0.01)

    def photograph(self, panel, path: str | Path) -> None:
        """Save a picture of a panel as PNG."""
        self.process_events()
        panel.parent.grab().save(str(path))

    def _install_qt(self, slicer) -> None:
        pythonqt.enable_true_property(*self._style)
        qt = pythonqt.make_qt()
        qt.QUiLoader = widgets.make_ui_loader(qt)
        ctk = types.ModuleType("ctk")
        for module, kinds in ((ctk, widgets.CTK_WIDGETS), (slicer, widgets.MRML_WIDGETS)):
            for kind in kinds:
                setattr(module, kind.__name__, kind)
        sys.modules.update(qt=qt, ctk=ctk)

    def _install_scene(self, slicer) -> None:
        from CardiacLib.mrml.nodes.host import plain_host

        slicer.mrmlScene = None  # a scene of its own, also after other tests
        plain_host()

    def _install_application(self, slicer) -> None:
        """``slicer.app``, in testing mode and without a main window."""
        os.environ["PATH"] = f"{self._python_slicer_folder()}{os.pathsep}{os.environ['PATH']}"
        environment = QtCore.QProcessEnvironment.systemEnvironment()
        slicer.app = types.SimpleNamespace(
            applicationLogic=lambda: slicer.modules.applicationLogic,
            applicationName="Slicer",
            testingEnabled=lambda: True,
            topLevelWidgets=lambda: [],
            processEvents=self.process_events,
            startupEnvironment=lambda: environment,
            connect=self._connect_startup,
            setOverrideCursor=QtWidgets.QApplication.setOverrideCursor,
            restoreOverrideCursor=QtWidgets.QApplication.restoreOverrideCursor,
        )
        slicer.selfTests = {}

        def error_display(text, *arguments, **options):
            self.errors.append(text)
            self._error_display(text, *arguments, **options)

        slicer.util.errorDisplay = error_display

    def _connect_startup(self, signal: str, slot) -> None:
        """``slicer.app.connect``; of its signals the host has one, sent once all modules are loaded."""
        if signal != "startupCompleted()":
            raise ValueError(f"The host's application has no signal '{signal}'.")
        self._at_startup.append(slot)

    def _python_slicer_folder(self) -> str:
        """A folder with ``PythonSlicer``: a launcher that runs Python as its child, as Slicer's does."""
        launcher = Path(self._folder.name) / "PythonSlicer"
        launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
        launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
        return self._folder.name

    def _install_python_layer(self, slicer) -> None:
        from . import parameters, sample_data, scripted

        i18n = types.ModuleType("slicer.i18n")
        i18n.tr = lambda text: text
        i18n.translate = lambda context, text: text
        layer = {"ScriptedLoadableModule": scripted, "parameterNodeWrapper": parameters, "i18n": i18n}
        for name, module in layer.items():
            sys.modules[f"slicer.{name}"] = module
            setattr(slicer, name, module)
        sys.modules["SampleData"] = sample_data

    def _load(self, slicer, path: Path) -> None:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        parent = types.SimpleNamespace(path=str(path), icon=None)
        setattr(slicer.modules, path.stem.lower(), parent)
        getattr(module, path.stem)(parent)
