"""A MRML scene outside the Slicer application, from the ``slicer-core`` wheel: scene, logics, node classes."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from CardiacLib.errors import InputError

_LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
}
"""Module name and the class of its logic. Attaching a logic to the scene registers its node classes; the
segmentations logic also registers the converters without which no segment can be added."""


def in_slicer() -> bool:
    """True inside the Slicer application (or a stand-in that offers ``slicer.app`` and a scene).

    The application has imported ``slicer`` before anything else runs; elsewhere the import takes most of a second, and
    is left to whoever needs the scene.
    """
    return getattr(sys.modules.get("slicer"), "app", None) is not None


def plain_host() -> None:
    """Make ``slicer.mrmlScene`` and ``slicer.modules.<name>.logic()`` where there is no application.

    Does nothing inside Slicer and nothing when called again, so every function here may call it first.

    Raises:
        ImportError: neither Slicer nor the ``slicer-core`` package is there.
    """
    import slicer

    if not in_slicer() and getattr(slicer, "mrmlScene", None) is None:
        slicer.mrmlScene, slicer.modules = _scene_and_modules()


def require_free_scene() -> None:
    """Raise InputError inside the Slicer application when its scene holds data; they belong to the user."""
    if not in_slicer():
        return
    import slicer

    for kind in ("vtkMRMLDisplayableNode", "vtkMRMLSequenceNode", "vtkMRMLTableNode"):
        for number in range(slicer.mrmlScene.GetNumberOfNodesByClass(kind)):
            node = slicer.mrmlScene.GetNthNodeByClass(number, kind)
            if not node.GetHideFromEditors():
                raise InputError(
                    f"Scene files are made in Slicer's own scene, which holds data ({node.GetName()}): save and "
                    "close it first, or choose --no-scene."
                )


def use_scene(scene, application) -> None:
    """Make an application's scene ``slicer.mrmlScene``, with the logics that it lacks, for the rest of the process.

    Args:
        scene: an empty ``vtkMRMLScene``.
        application: its ``vtkSlicerApplicationLogic``; logics that it has already stay.
    """
    import slicer

    slicer.mrmlScene, slicer.modules = scene, _modules_of(scene, application)


@contextmanager
def private_scene() -> Iterator[object]:
    """Yield an empty scene that is ``slicer.mrmlScene`` within the block; the earlier one comes back after it.

    The Slicer application has one scene only: there it must be empty, is used, and is empty again after the block.

    Raises:
        InputError: inside the Slicer application when its scene holds data.
    """
    import slicer

    if in_slicer():
        require_free_scene()
        try:
            yield slicer.mrmlScene
        finally:
            slicer.mrmlScene.Clear(0)
        return
    before = getattr(slicer, "mrmlScene", None), getattr(slicer, "modules", None)
    scene, modules = _scene_and_modules()
    slicer.mrmlScene, slicer.modules = scene, modules
    try:
        yield scene
    finally:
        slicer.mrmlScene, slicer.modules = before
        scene.Clear(1)


@contextmanager
def quiet() -> Iterator[Callable[[], str]]:
    """Keep VTK's messages off the console (MRML reports every file of a bundle); yields a getter of their text."""
    import vtk

    before, verbosity = vtk.vtkOutputWindow.GetInstance(), vtk.vtkLogger.GetCurrentVerbosityCutoff()
    window = vtk.vtkStringOutputWindow()
    vtk.vtkOutputWindow.SetInstance(window)
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
    try:
        yield window.GetOutput
    finally:
        vtk.vtkLogger.SetStderrVerbosity(verbosity)
        vtk.vtkOutputWindow.SetInstance(before)


def logic(module: str):
    """The logic of a module, by its lower-case name (``sequences``, ``segmentations``, ...)."""
    import slicer

    return getattr(slicer.modules, module).logic()


def _scene_and_modules():
    import slicer

    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    return scene, _modules_of(scene, application)


def _modules_of(scene, application) -> SimpleNamespace:
    import slicer
    import vtk

    cache = tempfile.TemporaryDirectory(prefix="cineheart-mrml-")  # bundles are unpacked there; goes with the modules
    storage = slicer.vtkDataIOManager()
    storage.SetCacheManager(slicer.vtkCacheManager())
    storage.GetCacheManager().SetRemoteCacheDirectory(cache.name)
    scene.SetDataIOManager(storage)
    application.SetTemporaryPath(cache.name)
    modules = SimpleNamespace(applicationLogic=application, cache=cache)
    # The colours and terminologies logics report the application's own colour and terminology files as missing: the
    # wheel does not carry them, and nothing here needs them.
    warnings = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        for name, class_name in _LOGICS.items():
            module_logic = application.GetModuleLogic(name)
            if module_logic is None:
                module_logic = getattr(slicer, class_name)()
                module_logic.SetMRMLApplicationLogic(application)
                module_logic.SetMRMLScene(scene)
                application.SetModuleLogic(name, module_logic)
            setattr(modules, name.lower(), SimpleNamespace(logic=lambda found=module_logic: found))
    finally:
        vtk.vtkObject.SetGlobalWarningDisplay(warnings)
    return modules
