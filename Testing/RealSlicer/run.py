"""Runs CineHeart inside the real Slicer: the self tests of its modules, and one scenario from sample data to files.

    Slicer --testing --python-script Testing/RealSlicer/run.py OUTPUT_FOLDER

The three module folders must be in Slicer's additional module paths. Python packages that are missing are installed.
``OUTPUT_FOLDER`` gets ``results.json``, which says of every step how long it took and what went wrong, and pictures of
the panels and the views. Slicer ends with exit code 1 if a step failed.
"""

import json
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import slicer

MODULES = ("CardiacSeg", "CardiacLandmarks", "BiVMesh")
SAMPLE = "CineHeartPhantomSmall"
ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 600.0


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float | None = None) -> None:
    """Let the application work until a condition holds."""
    timeout_s = timeout_s or WAIT_S
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")
        slicer.app.processEvents()
        time.sleep(0.01)


class Scenario:
    """One study from sample data to files, step by step; later steps build on earlier ones.

    Args:
        folder: for pictures and files.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def panel(self, name: str):
        """The open panel of a module: what its ``.ui`` file and its library made."""
        slicer.util.selectModule(name)
        return getattr(slicer.modules, f"{name}Widget")

    def apply(self, name: str):
        """Press Apply and wait."""
        widget = self.panel(name)
        self.picture(f"{name}_before")
        if not widget.ui.applyButton.enabled:
            raise AssertionError(f"{name}: {widget.ui.applyButton.toolTip}")
        widget.ui.applyButton.click()
        wait_until(lambda: not widget.panel.running, name)
        self.picture(name)
        if widget.ui.progressBar.value != 100:
            raise AssertionError(f"{name}: {widget.ui.statusLabel.text}")
        return widget

    def picture(self, name: str) -> None:
        """Of the whole window."""
        slicer.app.processEvents()
        slicer.util.mainWindow().grab().save(str(self.folder / f"{name}.png"))

    def install(self) -> None:
        """The packages of panels and command line."""
        from CardiacLib.mrml.panel.dependencies import command_line_requirements, ensure_dependencies

        ensure_dependencies("RealSlicer", install=True, optional=command_line_requirements())

    def self_tests(self) -> None:
        """As Reload and Test."""
        for name in MODULES:
            slicer.selfTests[name]()
        slicer.mrmlScene.Clear()

    def load(self) -> None:
        """The sample, as a script has it."""
        import SampleData

        node = SampleData.downloadSample(SAMPLE)
        assert node.GetName() == f"{SAMPLE} short axis", node.GetName()
        self.picture("views")

    def segment(self) -> None:
        """Apply, and what the panel says of the result."""
        widget = self.apply("CardiacSeg")
        assert "EDV" in widget.ui.resultLabel.text, widget.ui.resultLabel.text

    def play(self) -> None:
        """The browser of the study plays."""
        browser = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
        before = browser.GetSelectedItemNumber()
        browser.SetPlaybackActive(True)
        wait_until(lambda: browser.GetSelectedItemNumber() != before, "play", 20.0)
        browser.SetPlaybackActive(False)

    def edit(self) -> None:
        """In 3D, then in the Segment Editor."""
        widget = self.panel("CardiacSeg")
        widget.ui.show3dButton.click()
        wait_until(lambda: widget.ui.show3dButton.text == "Hide 3D", "surfaces")
        self.picture("surfaces")
        widget.ui.editButton.click()
        self.picture("SegmentEditor")

    def cancel(self) -> None:
        """A second run is stopped within two seconds; the first result stays."""
        widget = self.panel("CardiacSeg")
        chosen = widget.panel.parameters.segmentation
        widget.ui.applyButton.click()
        began = time.monotonic()
        widget.ui.cancelButton.click()
        assert time.monotonic() - began < 2.0 and not widget.panel.running
        assert widget.panel.parameters.segmentation is chosen

    def points(self) -> None:
        """The valves."""
        self.apply("CardiacLandmarks")
        self.picture("valves")

    def save_close_load(self) -> None:
        """The result and the choices of the open panel come back."""
        widget = self.panel("CardiacSeg")
        chosen, said = widget.panel.parameters.segmentation.GetName(), widget.ui.resultLabel.text
        slicer.util.saveScene(str(self.folder / "scene.mrb"))
        slicer.mrmlScene.Clear()
        slicer.util.loadScene(str(self.folder / "scene.mrb"))
        slicer.app.processEvents()
        assert widget.panel.parameters.segmentation.GetName() == chosen
        assert widget.ui.resultLabel.text == said

    def mesh(self) -> None:
        """Apply, and the models in 3D."""
        self.apply("BiVMesh")

    def export(self) -> None:
        """The mesh as files."""
        widget = self.panel("BiVMesh")
        widget.ui.exportFolderEdit.currentPath = str(self.folder / "mesh")
        widget.ui.exportButton.click()
        wait_until(lambda: not widget.panel.running, "export")
        assert list((self.folder / "mesh").rglob("*.vtu")), widget.ui.statusLabel.text

    def headless(self) -> None:
        """The command line in a second Slicer without a window."""
        command = [slicer.app.launcherExecutableFilePath, "--no-main-window", "--python-script"]
        script = ROOT / "Resources" / "Scripts" / "CineHeartRun.py"
        ended = subprocess.run(
            [*command, str(script), "bundles", "list"], capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        assert ended.returncode == 0 and "cineheart_sax" in ended.stdout, ended.stdout + ended.stderr


STEPS = (
    "install", "self_tests", "load", "segment", "play", "edit", "cancel", "points", "save_close_load", "mesh", "export",
    "headless",
)  # fmt: skip


def run(folder: Path, steps: tuple[str, ...] = STEPS) -> dict:
    """Do every step, also after one that failed; returns what ``results.json`` holds."""
    folder.mkdir(parents=True, exist_ok=True)
    scenario, done = Scenario(folder), []
    for name in steps:
        began, error = time.monotonic(), ""
        try:
            getattr(scenario, name)()
        except Exception:
            error = traceback.format_exc()
        done.append({"step": name, "seconds": round(time.monotonic() - began, 2), "error": error})
        print(f"{name}: {error or 'ok'}")
    results = {
        "slicer": slicer.app.applicationVersion,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "steps": done,
        "passed": not any(step["error"] for step in done),
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


if __name__ == "__main__":
    slicer.util.exit(0 if run(Path(sys.argv[1]))["passed"] else 1)
