"""The worker harness: values through files, events, exit codes; processes: callbacks, failures, cancelling the tree."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from CardiacLib.errors import Cancelled, InputError
from CardiacLib.jobs import write_job
from CardiacLib.types.bivmesh import BiVMesh
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.segmentation import Segmentation, SliceStatistics, ValveCut
from CardiacLib.types.values import job_value, read_value, write_value

WORKER = """
import os, subprocess, sys, time, logging
from CardiacLib.errors import InputError
from CardiacLib.jobs import run_worker

def brighten(cine, amount, progress):
    print("noise on standard output")
    logging.getLogger("x").warning("a warning")
    progress(0.5, "half")
    return cine.with_changes(frames=cine.frames + amount)

def refuse(cine, progress):
    raise InputError("x.nii: has no heart; give a cardiac image.")

def break_down(cine, progress):
    return 1 // 0

def vanish(cine, progress):
    print("last words", file=sys.stderr, flush=True)
    os._exit(9)

def hang(cine, progress):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    progress(0.1, str(child.pid))
    time.sleep(600)

sys.exit(run_worker({f.__name__: f for f in (brighten, refuse, break_down, vanish, hang)}, sys.argv[1:]))
"""


@pytest.fixture
def worker(tmp_path, monkeypatch) -> str:
    """Name of a library with a worker of five tasks, importable by processes started in the test."""
    package = tmp_path / "libs" / "TestWorkerLib"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(WORKER)
    source = Path(__file__).resolve().parents[2] / "CardiacSeg"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), str(source)]))
    return package.name


@pytest.fixture
def cine() -> Cine:
    frames = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    matrix = np.diag([-1.5, 1.5, 8.0, 1.0])
    return Cine(frames, matrix, [0.0, 40.5], "sax", "study/sax", ("one slice filled in",), {"sex": "F"})


def run_job(worker: str, folder: Path, task: str, cine: Cine, **options):
    """(exit code, events, standard error) of one job run to its end."""
    job = write_job(folder, task, {"cine": cine, **options})
    ended = subprocess.run([sys.executable, "-m", worker, str(job)], capture_output=True, text=True, check=False)
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


def assert_equal_fields(left, right) -> None:
    for name in type(left).__dataclass_fields__:
        a, b = getattr(left, name), getattr(right, name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype, name
        else:
            assert a == b, name


def test_every_value_type_survives_the_file(tmp_path, cine):
    labels = LabelMap(np.ones((2, 3, 4, 5), np.uint8), cine.ijk_to_lps, cine.times_ms, "labels")
    points = Landmarks(np.full((2, 10, 3), np.nan), np.array([0.0, 40.0]))
    mesh = BiVMesh(
        np.eye(4, 3),
        np.arange(4)[None],
        np.array([11], np.int32),
        np.arange(3)[None],
        np.array([1], np.int32),
        {"tets": 1},
        ("a note",),
    )
    sums = [np.full((2, 3, 3), n, np.float32) for n in range(3)]
    cut = ValveCut(labels, *np.ones((3, 2)), notes=("cut",))
    segmentation = Segmentation(labels, SliceStatistics(*sums, np.ones((2, 3), np.float32)), ("smoothed",), cut)
    write_value(tmp_path / "value.npz", segmentation)
    found = read_value(tmp_path / "value.npz")
    assert (found.notes, found.cut.notes) == (("smoothed",), ("cut",))
    assert_equal_fields(segmentation.statistics, found.statistics)
    assert_equal_fields(segmentation.cut.labels, found.cut.labels)
    for value in (cine, labels, points, mesh):
        path = tmp_path / "value.npz"
        write_value(path, value)
        found = read_value(path)
        assert type(found) is type(value)
        assert_equal_fields(value, found)
    assert [p.name for p in tmp_path.iterdir()] == ["value.npz"]


def test_other_values_and_broken_files_are_refused(tmp_path):
    @dataclass
    class Stranger:
        name: str = ""

    for value in (Stranger(), {"one": (Stranger(),)}, object()):
        with pytest.raises(TypeError):
            write_value(tmp_path / "x.npz", value)
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="same name"):
        job_value(dataclass(type("Cine", (), {})))
    (tmp_path / "broken.npz").write_bytes(b"PK not a zip")
    with pytest.raises(InputError, match=r"broken\.npz"):
        read_value(tmp_path / "broken.npz")


def test_done_job_writes_output_and_only_events_on_stdout(worker, tmp_path, cine):
    code, events, noise = run_job(worker, tmp_path, "brighten", cine, amount=7)
    assert code == 0
    assert [event["event"] for event in events] == ["message", "progress", "done"]
    assert events[1]["fraction"] == 0.5 and events[1]["message"] == "half"
    assert "noise on standard output" in noise
    np.testing.assert_array_equal(read_value(tmp_path / events[-1]["output"]).frames, cine.frames + 7)


def test_bad_input_is_one_sentence_and_exit_code_2(worker, tmp_path, cine):
    code, events, _ = run_job(worker, tmp_path, "refuse", cine)
    assert code == 2
    assert events == [
        {"event": "error", "kind": "input", "traceback": "", "message": "x.nii: has no heart; give a cardiac image."}
    ]
    assert not (tmp_path / "output.npz").exists()


def test_unexpected_error_carries_its_traceback_and_exit_code_1(worker, tmp_path, cine):
    code, events, _ = run_job(worker, tmp_path, "break_down", cine)
    assert code == 1
    assert events[-1]["kind"] == "unexpected" and "ZeroDivisionError" in events[-1]["message"]
    assert "break_down" in events[-1]["traceback"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [([], "one job file"), (["missing.json"], "not a readable job file")],
)
def test_worker_without_a_usable_job_file(worker, tmp_path, arguments, sentence):
    ended = subprocess.run(
        [sys.executable, "-m", worker, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert ended.returncode == 2
    assert sentence in json.loads(ended.stdout)["message"]


def test_unknown_task_is_named(worker, tmp_path, cine):
    code, events, _ = run_job(worker, tmp_path, "dance", cine)
    assert code == 2 and "unknown task 'dance'" in events[-1]["message"]


class TestProcesses:
    """CardiacLib.mrml.panel.processes, with a real worker process."""

    @pytest.fixture(autouse=True)
    def processes(self):
        pytest.importorskip("slicer")
        from CardiacLib.mrml.panel import processes

        return processes

    @pytest.fixture
    def runs_in(self, processes, worker, tmp_path):
        return processes.Worker(worker, tmp_path / "libs")

    @pytest.fixture
    def request_for(self, processes, cine):
        return lambda task, **options: processes.JobRequest(task, {"cine": cine, **options})

    def test_value_comes_back_with_progress(self, processes, runs_in, request_for, cine):
        seen = []
        value = processes.run_blocking(request_for("brighten", amount=1), runs_in, lambda *step: seen.append(step))
        np.testing.assert_array_equal(value.frames, cine.frames + 1)
        assert seen == [(0.5, "half")]

    def test_bad_input_is_an_input_error(self, processes, runs_in, request_for):
        with pytest.raises(InputError, match="has no heart"):
            processes.run_blocking(request_for("refuse"), runs_in)

    def test_unexpected_errors_carry_the_workers_traceback(self, processes, runs_in, request_for):
        with pytest.raises(RuntimeError, match="break_down"):
            processes.run_blocking(request_for("break_down"), runs_in)

    def test_a_worker_that_vanishes_is_reported_with_its_last_words(self, processes, runs_in, request_for):
        with pytest.raises(RuntimeError, match=r"(?s)exit code 9.*last words"):
            processes.run_blocking(request_for("vanish"), runs_in)

    def test_cancel_from_progress_stops_the_worker(self, processes, runs_in, request_for):
        def stop(fraction, message):
            raise Cancelled

        start = time.monotonic()
        with pytest.raises(Cancelled):
            processes.run_blocking(request_for("hang"), runs_in, stop)
        assert time.monotonic() - start < 30

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at Linux process states")
    def test_cancel_kills_the_whole_tree_and_calls_back_once(self, processes, runs_in, request_for):
        calls, children = [], []
        run = processes.WorkerRun(
            request_for("hang"),
            runs_in,
            processes.Callbacks(
                progress=lambda fraction, message: children.append(int(message)),
                done=lambda value: calls.append("done"),
                failed=lambda *failure: calls.append("failed"),
                cancelled=lambda frames: calls.append("cancelled"),
            ),
        )
        run.start()
        while not children:
            assert run.poll()
            time.sleep(0.01)
        start = time.monotonic()
        run.cancel()
        assert time.monotonic() - start < 2
        assert calls == ["cancelled"] and run.finished and not run.poll()
        assert not _alive(run.pid) and not _alive(children[0])
        run.cancel()
        assert calls == ["cancelled"]

    def test_job_folder_is_removed(self, processes, runs_in, request_for, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        processes.run_blocking(request_for("brighten", amount=1), runs_in)
        assert not list(tmp_path.glob("cineheart-job-*"))


def _alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not yet reaped by its parent does not count."""
    state = Path(f"/proc/{pid}/stat")
    for _ in range(50):
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        time.sleep(0.02)
    return True
