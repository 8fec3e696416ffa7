"""The steps of Docs/Tutorial.md on the panel host of the tests, as a user would click them.

``Testing/Python/test_tutorial.py`` runs them; ``panels.py`` beside this file photographs them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = [ROOT / name / f"{name}.py" for name in ("CardiacSeg", "CardiacLandmarks", "BiVMesh")]
SAMPLE = "CineHeartPhantom"
SMALL_SAMPLE = "CineHeartPhantomSmall"
"""The same heart in 8 frames of coarse pixels, for a quick run."""
COARSE_MM, THICK_MM = 4.0, 8.0
"""Edge length of the tetrahedra for a quick run."""
FORMATS = ("vtu", "msh")


@dataclass
class Walk:
    """What the steps gave: the short-axis volume, the results of the modules, what the panels said, the files."""

    volumes: dict[str, object] = field(default_factory=dict)
    segmentation: object = None
    points: dict[str, object] = field(default_factory=dict)
    models: dict[str, object] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None


def walk(host, folder: Path, step_done: Callable[[str, object, Walk], None], small: bool = False) -> Walk:
    """Go through the tutorial in the host's scene.

    Args:
        host: a SlicerHost with MODULES.
        folder: for the exported mesh and the scene.
        step_done: called with the name of the step, its panel (None where it has none), and what there is so far.
        small: a quick run, with the small sample and a coarse mesh of a thick RV wall.
    """
    done = Walk(folder=folder)
    load_sample(done, SMALL_SAMPLE if small else SAMPLE)
    step_done("sample", None, done)
    step_done("segmentation", segment(host, done), done)
    step_done("landmarks", find_valves(host, done), done)
    step_done("mesh", build_mesh(host, done, small), done)
    save(done)
    return done


def load_sample(done: Walk, sample: str) -> None:
    """Step 1: the button of the synthetic heart in the Sample Data module."""
    import SampleData
    import slicer

    SampleData.click("CineHeart", sample)
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    nodes = [slicer.mrmlScene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode") for n in range(count)]
    done.volumes = {node.GetAttribute("CineHeart.view"): node for node in nodes}


def segment(host, done: Walk):
    """Step 2: label the ventricles and measure."""
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputNameEdit.text = "ventricles"
    _apply(host, panel)
    done.segmentation = panel.panel.parameters.segmentation
    done.said["segmentation"] = panel.ui.resultLabel.text
    panel.ui.endDiastoleButton.click()
    return panel


def find_valves(host, done: Walk):
    """Step 3: the valve points of the long-axis views."""
    from CardiacLib.mrml.panel.results import result_of

    panel = host.open_panel("CardiacLandmarks")
    panel.ui.outputNameEdit.text = "valves"
    _apply(host, panel)
    nodes = result_of(panel.panel.parameters.points).nodes
    done.points = {name: node for name, node in nodes.items() if node.IsA("vtkMRMLMarkupsNode")}
    done.said["landmarks"] = panel.ui.resultLabel.text
    return panel


def build_mesh(host, done: Walk, coarse: bool):
    """Step 4: the mesh of end-diastole, and its files."""
    import qt

    from CardiacLib.mrml.panel.results import result_of

    panel = host.open_panel("BiVMesh")
    if coarse:
        panel.ui.automaticEdgeLengthCheckBox.checked = False
        panel.ui.edgeLengthSlider.value, panel.ui.rvWallSlider.value = COARSE_MM, THICK_MM
    panel.ui.outputNameEdit.text = "heart"
    _apply(host, panel)
    done.models = result_of(panel.panel.parameters.mesh).nodes
    done.said["mesh"] = panel.ui.resultLabel.text
    for row in range(panel.ui.formatsList.count):
        item = panel.ui.formatsList.item(row)
        item.setCheckState(qt.Qt.Checked if item.text() in FORMATS else qt.Qt.Unchecked)
    panel.ui.exportFolderEdit.currentPath = str(done.folder / "mesh")
    _press(host, panel, panel.ui.exportButton)
    return panel


def save(done: Walk) -> None:
    """Step 5: the whole scene in one file."""
    from CardiacLib.mrml.nodes.scenes import save_scene

    save_scene(done.folder / "scene.mrb")


def _apply(host, panel) -> None:
    _press(host, panel, panel.ui.applyButton)


def _press(host, panel, button) -> None:
    """Press a button that starts the worker, and wait."""
    button.click()
    host.wait_until(lambda: not panel.panel.running, timeout_s=1800)
    if host.errors:
        raise RuntimeError(host.errors[-1])
