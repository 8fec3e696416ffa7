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
    *(f"{__package__}.{name}" for name in ("application", "parameters", "pythonqt", "scripted", "views", "widgets")),
    *(f"CardiacLib.mrml.panel.{name}" for name in ("controls", "dicom_export", "module_panel", "networks")),
    *(f"CardiacLib.mrml.panel.{name}" for name in ("processes", "studies")),
    *(f"{library}.mrml.panel" for library in ("CardiacSegLib", "CardiacLandmarksLib", "BiVMeshLib")),
    *(f"BiVMeshLib.mrml.{name}" for name in ("mesh_export", "propagation")),
    "slicer.util",
)


_REPLACED = ("errorDisplay", "reloadScriptedModule", "selectModule", "saveScene", "loadScene")
"""Functions of ``slicer.util`` that need the application; the host has its own."""


class SlicerHost:
    """A context in which module files run as in Slicer. ``modules`` are their paths, in the order of loading."""

    def __init__(self, *modules: str | Path, style_modules: tuple[str, ...] = ()):
        self._paths = [Path(path).resolve() for path in modules]
        self._style = (*_QT_STYLE_MODULES, *(path.stem for path in self._paths), *style_modules)
        self._at_startup: list = []
        self._panels: list[tuple[object, QtWidgets.QWidget]] = []
        self._window: list[types.SimpleNamespace] = []
        self._layout_manager: object | None = None
        self.selected: list[str] = []
        """Modules that ``slicer.util.selectModule`` was asked for."""
        self.edited: list = []
        """What the Segment Editor was given: segmentation and source volume."""
        self.playing: object | None = None
        """The sequence browser node that the toolbar of the main window plays."""
        self.errors: list[str] = []
        """Texts that ``slicer.util.errorDisplay`` was asked to show."""

    def __enter__(self) -> "SlicerHost":
        import slicer
        import slicer.util

        self._before = (dict(sys.modules), list(sys.path), dict(vars(slicer)), dict(os.environ))
        self._util = {name: getattr(slicer.util, name) for name in _REPLACED}
        slicer.util.reloadScriptedModule = self._reload
        self._folder = tempfile.TemporaryDirectory(prefix="slicer-host-")
        self.application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        self._keep_settings_here()
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
        for name, function in self._util.items():
            setattr(slicer.util, name, function)
        modules, path, names, environment = self._before
        for name in set(sys.modules) - set(modules):
            if name.split(".")[0] in ("qt", "ctk", "slicer", "SampleData", "DICOMLib") or name in self._style:
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
        setattr(slicer.modules, f"{name}Widget", panel)
        self._panels.append((panel, parent))
        self.process_events()
        return panel

    def close_panels(self) -> None:
        """Unload every panel, as when Slicer closes."""
        while self._panels:
            panel, parent = self._panels.pop()
            panel.cleanup()
            delattr(sys.modules["slicer"].modules, f"{panel.moduleName}Widget")
            parent.close()
            parent.deleteLater()
        self.process_events()

    def _reload(self, name: str) -> None:
        """``slicer.util.reloadScriptedModule``: the module file alone is read again, and its panel made anew."""
        number = next(n for n, (panel, _) in enumerate(self._panels) if panel.moduleName == name)
        path = next(path for path in self._paths if path.stem == name)
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
        panel, parent = self._panels.pop(number)
        panel.cleanup()
        parent.close()
        parent.deleteLater()
        self.open_panel(name)

    def open_window(self):
        """Let there be a main window from now on, until the host is left; returns its layout manager."""
        from .views import LayoutManager

        self._window[:] = [types.SimpleNamespace(objectName="qSlicerMainWindow", grab=self._grab)]
        self._layout_manager = LayoutManager(sys.modules["slicer"].modules.applicationLogic)
        return self._layout_manager

    def _grab(self):
        """A picture of the panel that was selected last."""
        return self._panels[-1][1].grab() if self._panels else QtWidgets.QLabel("Slicer").grab()

    def _select(self, name: str) -> None:
        """``slicer.util.selectModule``: shows a module's panel, which is made when it is shown first."""
        self.selected.append(name)
        opened = [panel.moduleName for panel, _ in self._panels]
        if name in (path.stem for path in self._paths) and name not in opened:
            self.open_panel(name)

    @staticmethod
    def _save_scene(path: str) -> bool:
        from CardiacLib.mrml.nodes.scenes import save_scene

        save_scene(path)
        return True

    @staticmethod
    def _load_scene(path: str) -> bool:
        from CardiacLib.mrml.nodes.scenes import load_scene

        load_scene(path)
        return True

    def close_window(self) -> None:
        """Let there be none again."""
        self._window.clear()
        self._layout_manager = None

    def process_events(self) -> None:
        """Run what Qt has pending; sequence browsers that play go on by one frame."""
        self.application.processEvents()
        scene = sys.modules["slicer"].mrmlScene
        for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
            browser = scene.GetNthNodeByClass(number, "vtkMRMLSequenceBrowserNode")
            if browser.GetPlaybackActive():
                browser.SelectNextItem()

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

    def longest_block_s(self, condition, timeout_s: float = 300.0, clock=time.perf_counter) -> float:
        """Run the event loop until ``condition()`` holds; returns the longest time, s, that one turn of it took.

        That is how long the window stood still: a poll of the worker, the drawing of a result. ``clock`` may be the
        processor time of this process instead, which other work of the machine does not change.
        """
        longest, end = 0.0, time.monotonic() + timeout_s
        while not condition():
            began = clock()
            self.process_events()
            longest = max(longest, clock() - began)
            if time.monotonic() > end:
                raise TimeoutError("The panel did not get there in time.")
            time.sleep(0.005)
        return longest

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
        slicer.mrmlScene.SetCacheManager(slicer.vtkCacheManager())
        slicer.mrmlScene.GetCacheManager().SetRemoteCacheDirectory(self._folder.name)
        slicer.modules.sequences.showSequenceBrowser = self._show_browser
        editor = types.SimpleNamespace(
            setSegmentationNode=self.edited.append,
            setSourceVolumeNode=self.edited.append,
        )
        scripted_widget = types.SimpleNamespace(self=lambda: types.SimpleNamespace(editor=editor))
        slicer.modules.segmenteditor = types.SimpleNamespace(widgetRepresentation=lambda: scripted_widget)

    def _keep_settings_here(self) -> None:
        """``qt.QSettings()`` is a file of the host's folder, not of the user."""
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, self._folder.name)
        for name, text in (("organizationName", "NA-MIC"), ("applicationName", "Slicer")):
            setattr(self.application, name, text)

    def _show_browser(self, browser) -> bool:
        self.playing = browser
        return True

    def _install_application(self, slicer) -> None:
        """``slicer.app``, in testing mode and, at first, without a main window."""
        os.environ["PATH"] = f"{self._python_slicer_folder()}{os.pathsep}{os.environ['PATH']}"
        environment = QtCore.QProcessEnvironment.systemEnvironment()
        slicer.app = types.SimpleNamespace(
            applicationLogic=lambda: slicer.modules.applicationLogic,
            applicationName="Slicer",
            testingEnabled=lambda: True,
            topLevelWidgets=lambda: list(self._window),
            layoutManager=lambda: self._layout_manager,
            coreIOManager=lambda: types.SimpleNamespace(load=self._load_file),
            temporaryPath=self._folder.name,
            applicationVersion="5.12.3",
            launcherExecutableFilePath=f"{self._folder.name}/Slicer",
            processEvents=self.process_events,
            startupEnvironment=lambda: environment,
            connect=self._connect_startup,
            setOverrideCursor=QtWidgets.QApplication.setOverrideCursor,
            restoreOverrideCursor=QtWidgets.QApplication.restoreOverrideCursor,
        )
        slicer.selfTests = {}

        def error_display(text, *arguments, **options):
            self.errors.append(text)
            self._util["errorDisplay"](text, *arguments, **options)

        slicer.util.errorDisplay = error_display
        slicer.util.selectModule = self._select
        slicer.util.saveScene, slicer.util.loadScene = self._save_scene, self._load_scene

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
        slicer = launcher.with_name("Slicer")  # of its options, only the script counts here
        slicer.write_text(
            f'#!/bin/sh\nwhile [ "$1" != --python-script ]; do shift; done; shift\n"{sys.executable}" "$@"\n'
        )
        slicer.chmod(slicer.stat().st_mode | stat.S_IXUSR)
        return self._folder.name

    def _install_python_layer(self, slicer) -> None:
        from . import dicom, parameters, sample_data, scripted

        i18n = types.ModuleType("slicer.i18n")
        i18n.tr = lambda text: text
        i18n.translate = lambda context, text: text
        layer = {"ScriptedLoadableModule": scripted, "parameterNodeWrapper": parameters, "i18n": i18n}
        for name, module in layer.items():
            sys.modules[f"slicer.{name}"] = module
            setattr(slicer, name, module)
        sys.modules.update(SampleData=sample_data, DICOMLib=dicom)
        slicer.qSlicerDICOMExportable = dicom.qSlicerDICOMExportable

    def _load_file(self, kind: str, path: str) -> list:
        """Read a file by the reader of its kind, which Slicer finds by its name: <module>FileReader."""
        import slicer

        readers = [getattr(sys.modules[module.stem], f"{module.stem}FileReader", None) for module in self._paths]
        for reader in (found(types.SimpleNamespace(loadedNodes=[])) for found in readers if found is not None):
            if reader.fileType() == kind and reader.canLoadFile(path) and reader.load({"fileName": path}):
                return [slicer.mrmlScene.GetNodeByID(node_id) for node_id in reader.parent.loadedNodes]
        raise RuntimeError(f"Failed to load {path} as {kind}.")

    def _load(self, slicer, path: Path) -> None:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        parent = types.SimpleNamespace(path=str(path), icon=None, hidden=False)
        setattr(slicer.modules, path.stem.lower(), parent)
        getattr(module, path.stem)(parent)
