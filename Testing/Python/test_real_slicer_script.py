"""The script that runs inside the real Slicer, dry-run in the panel host with a worker that has its answers ready."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from panel_hearts import install_worker

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from CardiacLib.types.values import write_value  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys
sys.path.insert(0, HERE)
from panel_hearts import measured, measured_points, meshed, tetrahedron, with_statistics
from CardiacLib.jobs import run_worker
from CardiacLib.types.values import read_value
from cineheart.worker import TASKS

def segment(cine, choice, progress, on_frame):
    return measured(with_statistics(read_value(ANSWERS + "/labels.npz")))

def find_points(cines, choice, labels, progress):
    return measured_points(read_value(ANSWERS + "/landmarks.npz"), cines)

def mesh(labels, choice, valves, progress):
    return meshed(tetrahedron())

sys.exit(run_worker(TASKS | {task.__name__: task for task in (segment, find_points, mesh)}, sys.argv[1:]))
"""


@pytest.mark.slow
def test_the_scenario_of_the_real_slicer(host, scene, monkeypatch, tmp_path, phantom):
    write_value(tmp_path / "labels.npz", phantom.labels)
    write_value(tmp_path / "landmarks.npz", phantom.landmarks)
    places = f"HERE, ANSWERS = {str(ROOT / 'Testing' / 'Python')!r}, {str(tmp_path)!r}\n"
    install_worker(monkeypatch, tmp_path, "ready_worker", places + WORKER)
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
