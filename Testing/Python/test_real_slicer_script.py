"""The script that runs inside the real Slicer, dry-run in the panel host with a worker that has its answers ready."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from panel_hearts import install_worker

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys
sys.path.insert(0, HERE)
from panel_hearts import measured, measured_points, meshed, tetrahedron, with_statistics
from CardiacLib.jobs import run_worker
from CardiacLib.phantom import PhantomOptions, make_phantom
from cineheart.worker import TASKS

def segment(cine, choice, progress, on_frame):
    return measured(with_statistics(make_phantom(PhantomOptions.small()).labels))

def find_points(cines, choice, labels, progress):
    return measured_points(make_phantom(PhantomOptions.small()).landmarks, cines)

def mesh(labels, choice, valves, progress):
    return meshed(tetrahedron())

sys.exit(run_worker(TASKS | {task.__name__: task for task in (segment, find_points, mesh)}, sys.argv[1:]))
"""


@pytest.mark.slow
def test_the_scenario_of_the_real_slicer(host, scene, monkeypatch, tmp_path):
    install_worker(
        monkeypatch, tmp_path, "ready_worker", WORKER.replace("HERE", repr(str(ROOT / "Testing" / "Python")))
    )
    spec = importlib.util.spec_from_file_location("real_slicer_run", ROOT / "Testing" / "RealSlicer" / "run.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(
        slicer, "selfTests", dict.fromkeys(script.MODULES, lambda: None)
    )  # they have tests of their own
    script.WAIT_S = 90.0
    host.open_window()
    try:
        results = script.run(tmp_path / "out")
    finally:
        host.close_window()
    assert results["passed"], [step for step in results["steps"] if step["error"]]
    assert [step["step"] for step in results["steps"]] == list(script.STEPS) and not host.errors
    written = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert written == results and set(written) == {"slicer", "python", "platform", "steps", "passed"}
    pictures = {path.stem for path in (tmp_path / "out").glob("*.png")}
    assert {*script.MODULES, "views", "valves", "surfaces", "SegmentEditor"} <= pictures
    assert script.__name__ not in sys.modules
