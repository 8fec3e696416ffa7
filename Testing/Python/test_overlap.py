"""The mesh that is made beside the other steps of a run: same files, same sentences, nothing left behind."""

import multiprocessing
import operator
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from BiVMeshLib import MeshOptions
from BiVMeshLib.result import MeshChoice
from CardiacLib.errors import Cancelled, InputError
from CardiacLib.files import write_json
from CardiacLib.networks.device import leaving_cores, processor_threads
from CardiacLib.phantom import write_phantom
from CardiacLib.types.labels import LV
from CardiacLib.types.landmarks import LANDMARK_NAMES
from CardiacLib.writers.images import write_labels
from CardiacLib.writers.markups import points_document
from cineheart.corrected import CorrectedFiles
from cineheart.pipeline import FurtherFiles, RunOptions, run_study
from cineheart.report.facts import second_rows
from cineheart.results import WAITED
from cineheart.workers import THREADS, beside

COARSE = MeshOptions(
    edge_length_mm=5.0,
    rv_wall_mm=8.0,
    grid_mm=2.0,
    optimise=False,
    align_slices=False,
    refinements=0,
    min_dihedral_deg=0.0,
    min_scaled_jacobian=0.0,
    fibres=False,
    coordinates=False,
)


@pytest.fixture(scope="module")
def study(little_heart, tmp_path_factory):
    """A synthetic heart as files."""
    folder = tmp_path_factory.mktemp("study")
    write_phantom(little_heart, folder)
    (folder / "truth" / "points").mkdir()
    for frame, points in enumerate(little_heart.landmarks.points):
        write_json(folder / "truth" / "points" / f"frame_{frame:03d}.mrk.json", points_document(points, LANDMARK_NAMES))
    return folder


@pytest.fixture
def two_cores(monkeypatch):
    """As many as overlap needs, and no report, which has its own tests."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr("cineheart.pipeline.draw_without_mesh", lambda result: {})
    monkeypatch.setattr("cineheart.pipeline.write_report", lambda result, path, drawn: path.write_text("-"))


def options(study, mesh: MeshOptions) -> RunOptions:
    given = CorrectedFiles(labels=study / "truth" / "labels.nii.gz", landmarks=study / "truth" / "points")
    return RunOptions(mesh=MeshChoice(options=mesh), corrected=given, files=FurtherFiles(scene=False))


@pytest.mark.slow
def test_a_mesh_made_beside_is_the_same(study, tmp_path, two_cores):
    found = {}
    for name, overlap in (("after", False), ("beside", True)):
        found[name] = run_study(study, tmp_path / name, options(study, COARSE), overlap=overlap)
    assert (
        list(found["beside"].seconds)[-4:-1] == [WAITED, "mesh", "write mesh"] and WAITED not in found["after"].seconds
    )
    assert dict(second_rows({"read": 2.0, WAITED: 1.0, "mesh": 9.0}))["Total"] == "3.0 s"
    files = sorted(path.relative_to(tmp_path / "after") for path in (tmp_path / "after").rglob("*") if path.is_file())
    assert len(files) > 20
    for file in files:
        if file.name != "study.json":  # tells seconds
            assert (tmp_path / "after" / file).read_bytes() == (tmp_path / "beside" / file).read_bytes(), file
    nodes = found["beside"].mesh.nodes
    nodes += 1.0  # a result can be written to, as any other
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_mesh_that_fails_beside_says_why(little_heart, study, tmp_path, two_cores):
    pool = np.where(little_heart.labels.labels == LV, LV, 0).astype(np.uint8)
    write_labels(tmp_path / "pool.nii.gz", replace(little_heart.labels, labels=pool))
    told = options(study, COARSE)
    told = replace(told, corrected=replace(told.corrected, labels=tmp_path / "pool.nii.gz"))
    result = run_study(study, tmp_path / "R", told, overlap=True)
    assert result.mesh is None and result.notes[-1].startswith("No mesh: ") and WAITED in result.seconds


def test_a_cancelled_run_ends_the_mesh_beside(study, tmp_path, two_cores):
    def stop(fraction, message):
        if message == "writing labels and measurements":
            assert multiprocessing.active_children()
            raise Cancelled

    with pytest.raises(Cancelled):
        run_study(study, tmp_path / "R", options(study, COARSE), progress=stop, overlap=True)
    assert list(tmp_path.iterdir()) == [] and not multiprocessing.active_children()


def test_what_a_task_raises_and_says_arrives():
    before = {name: os.environ.get(name) for name in THREADS}
    with beside(partial(np.zeros, 1)) as worker:
        worker.begin(operator.call, operator.methodcaller("__call__", 0.5, "half way"))
        told = []
        assert worker.result(lambda *said: told.append(said)) is None and told == [(0.5, "half way")]
    with beside(partial(np.zeros, 1)) as worker:
        worker.begin(operator.truediv, 1)  # by a function
        with pytest.raises(TypeError):
            worker.result()
    with beside(partial(time.sleep, 60)) as worker:
        worker._process.kill()
        worker._process.join()
        worker.begin(operator.truediv, np.zeros(100_000))
        with pytest.raises(InputError, match="ended from outside"):
            worker.result()
    assert {name: os.environ.get(name) for name in THREADS} == before


def test_networks_leave_cores_to_others(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with leaving_cores(1):
        assert processor_threads() == 1
        with leaving_cores(1):
            assert processor_threads() == 1
    assert processor_threads() == 2


def test_the_program_keeps_numpy_to_one_thread_unless_it_is_told_otherwise():
    """NumPy reads the variable when it is loaded, which must be later."""
    code = "import os, sys, cineheart; assert 'numpy' not in sys.modules; import cineheart.__main__, numpy; "
    code += "print(os.environ['OPENBLAS_NUM_THREADS'])"
    for given, used in (({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")):
        kept = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
        ran = subprocess.run([sys.executable, "-c", code], env=kept | given, capture_output=True, text=True, check=True)
        assert ran.stdout.split() == [used]
