"""What Slicer does with the modules before a panel is opened, and with files that a crash has left."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from panel_hearts import MODULES

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from CardiacLib.types.labels import LV, MYO, RV, structures  # noqa: E402

OWNERS = {
    "vtkMRMLSegmentationNode": "Segmentations",
    "vtkMRMLMarkupsFiducialNode": "Markups",
    "vtkMRMLSequenceNode": "Sequences",
    "vtkMRMLSequenceBrowserNode": "Sequences",
}
"""Node classes that a module of Slicer brings; those of the scene's core need no module."""
TERMINOLOGY = "Segmentation category and type - CineHeart"
CORE = {"vtkMRMLScalarVolumeNode", "vtkMRMLModelNode", "vtkMRMLTableNode"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_depends_on_the_modules_whose_nodes_it_names(host, path):
    """Slicer loads a module after those it depends on; another one's node classes may not be there yet."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "slicer"]
    named = {alias.name for node in imported for alias in node.names if alias.name.startswith("vtkMRML")}
    assert named and named <= {*OWNERS, *CORE}
    stated = getattr(slicer.modules, path.stem.lower()).dependencies
    assert {OWNERS[name] for name in named if name in OWNERS} <= set(stated)


def test_the_terminology_is_loaded(host):
    """The selector of a segment's code finds every structure, the myocardium too, which Slicer's own lists lack."""
    logic = slicer.modules.terminologies.logic()
    for label in (LV, MYO, RV):
        structure = structures()[label]
        codes = [*structure.category[:2], *structure.type[:2], "", ""]
        assert TERMINOLOGY in logic.FindTerminologyNames(*codes, [])


@pytest.mark.slow
def test_a_sample_can_be_had_by_a_script(host, scene):
    """``SampleData.downloadSample`` asks no downloader of ours: it fetches a file and loads it."""
    import SampleData

    node = SampleData.downloadSample("CineHeartPhantomSmall")
    assert node.GetName() == "CineHeartPhantomSmall short axis"
    assert scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 1 and not host.errors


def test_files_of_a_run_are_private_and_go_with_it(host, tmp_path, monkeypatch):
    from CardiacLib.mrml.panel.scratch import Scratch, sweep, temporary_folder

    assert temporary_folder() == Path(slicer.app.temporaryPath)
    monkeypatch.setattr(slicer.app, "temporaryPath", str(tmp_path))
    code = """
import os, sys
from CardiacLib.mrml.panel import scratch
scratch.temporary_folder = lambda: scratch.Path(sys.argv[1])
(scratch.Scratch("job").path / "images.npz").write_text("a patient")
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, env=_environment())
    (left,) = tmp_path.iterdir()
    mine = Scratch("job")
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
    assert sweep() == [left] and not left.exists() and mine.path.is_dir()
    mine.remove()
    assert not list(tmp_path.iterdir())


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_patient_and_study_stay_with_the_dicom_plugin(host, scene, phantom, monkeypatch):
    """In the application the DICOM plugin owns them as soon as they are made."""
    from CardiacLib.mrml.nodes import hierarchy

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

    class Owned:
        """The tree of the application."""

        def __getattr__(self, name):
            return getattr(tree, name)

        def CreateSubjectItem(self, parent, name):
            item = tree.CreateSubjectItem(parent, name)
            tree.SetItemOwnerPluginName(item, "DICOM")
            return item

    monkeypatch.setattr(hierarchy, "_tree", Owned)
    study = hierarchy.add_study("patient", "study")
    owners = [tree.GetItemOwnerPluginName(item) for item in (tree.GetItemParent(study), study)]
    assert owners == ["DICOM", "Folder"]


@pytest.mark.slow
def test_reload_reads_the_libraries_too():
    """In a process of its own: the libraries of this one are used by other tests."""
    code = """
import sys
from Testing.SlicerHost import SlicerHost
with SlicerHost(*sys.argv[1:]) as host:
    panels = [host.open_panel(name) for name in ("CardiacSeg", "BiVMesh")]
    before = dict(sys.modules)
    panels[0].onReload()
    import slicer
    for name in ("CardiacLib.types.choices", "CardiacSegLib.mrml.panel", "CardiacSeg", "BiVMesh"):
        assert sys.modules[name] is not before[name], name
    assert slicer.modules.CardiacSegWidget is not panels[0] and slicer.modules.BiVMeshWidget is not panels[1]
    assert sys.modules["CardiacSeg"].SegmentChoice is sys.modules["CardiacLib.types.choices"].SegmentChoice
    assert "CardiacLandmarks" not in sys.modules and not host.errors
"""
    command = [sys.executable, "-c", code, *map(str, MODULES)]
    ended = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    assert ended.returncode == 0, ended.stderr
