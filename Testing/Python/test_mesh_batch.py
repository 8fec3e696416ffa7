"""``cineheart mesh`` on several label maps: a folder per case, one table, interrupted and failed cases; bad input."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from test_mesh_build import heart

from CardiacLib.geometry import to_sitk
from CardiacLib.readers import read_labels
from cineheart.cli import main
from cineheart.cohort.marker import write_marker
from cineheart.commands import mesh_batch
from cineheart.commands.mesh import MeshFile
from cineheart.commands.mesh_table import COUNTS, beyond_limits

QUICK = ["--edge-length", "4", "--no-fibres", "--no-coordinates", "--format", "vtp"]


def left_ventricle():
    """The labels without RV: an optimised mesh of them takes less than a second."""
    return np.where(heart()[0] == 3, 0, heart()[0]).astype(np.uint8)


def write(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(to_sitk(labels, heart()[1]), str(path))


def rows(folder):
    with open(folder / "meshes.csv", newline="", encoding="utf-8") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


@pytest.fixture
def patients(tmp_path):
    """An ACDC patient in ACDC's label order, one whose labels are empty, and an image that is none."""
    labels = heart()[0]
    acdc = np.array([0, 3, 2, 1], np.uint8)[labels]
    for name, content in (("patient001", acdc), ("patient002", acdc * 0)):
        write(tmp_path / name / f"{name}_frame01_gt.nii.gz", content)
        write(tmp_path / name / f"{name}_frame01.nii.gz", content)
        (tmp_path / name / "Info.cfg").write_text("ED: 1\nES: 9\n", encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_a_folder_of_patients(patients, tmp_path, rough_meshes, monkeypatch, capsys):
    """The failed case does not stop the other; a second run keeps the finished one; other options make it anew."""
    out = tmp_path / "out"
    assert main(["mesh", str(patients), "-o", str(out), *QUICK]) == 1
    found = rows(out)
    assert found["patient001_frame01_gt"]["status"] == "meshed" and found["patient002_frame01_gt"]["status"] == "failed"
    assert "contain no LV pool" in found["patient002_frame01_gt"]["reason"]
    assert "patient002_frame01_gt.nii.gz" in found["patient002_frame01_gt"]["reason"]
    good = found["patient001_frame01_gt"]
    assert (good["euler"], good["open_edges"], good["self_intersections"], good["euler_base"]) == ("2", "0", "0", "-1")
    assert abs(float(good["rv_pool_error_percent"])) < 2 and float(good["distance_mean_mm"]) < 0.6
    page = (out / "meshes.md").read_text(encoding="utf-8")
    assert "1 of 2 label maps gave a mesh" in page and "## No mesh" in page
    names = {path.name for path in (out / "patient001_frame01_gt").iterdir()}
    assert (
        names == {"surface.vtp", "quality.json", "measures.csv", "case.json"}
        and not (out / "patient002_frame01_gt").exists()
    )
    called, again = [], {"case": "again", "status": "failed", "seconds": 0.0, "reason": "made again"}
    monkeypatch.setattr(mesh_batch, "run_case", lambda case: called.append(case.name) or again)
    capsys.readouterr()
    assert main(["mesh", str(patients), "-o", str(out), *QUICK, "--json"]) == 1
    assert called == ["patient002_frame01_gt"] and json.loads(capsys.readouterr().out)["kept"] == 1
    assert rows(out)["patient001_frame01_gt"] == good and rows(out)["again"]["reason"] == "made again"
    main(["mesh", str(patients), "-o", str(out), *QUICK, "--edge-length", "5.5"])
    assert called[1:] == ["patient001_frame01_gt", "patient002_frame01_gt"]


def test_a_mistake_in_one_case_is_a_row_of_the_table(patients, tmp_path, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(mesh_batch, "mesh_of_file", broken)
    assert main(["mesh", str(patients), "-o", str(tmp_path / "out"), *QUICK]) == 1
    assert {row["reason"] for row in rows(tmp_path / "out").values()} == {"ZeroDivisionError: a bug"}


def test_the_marker_of_a_case_goes_first_and_comes_last(patients, tmp_path, monkeypatch):
    """Killed while its files are moved, a case is not taken for finished, by its old marker either."""
    labels = patients / "patient001" / "patient001_frame01_gt.nii.gz"
    case = mesh_batch.Case("a", labels, tmp_path / "out" / "a", MeshFile())
    case.output.mkdir(parents=True)
    write_marker(case.output / mesh_batch.CASE_FILE, {"status": "meshed"}, case.made_from())
    assert mesh_batch.finished_row(case) == {"status": "meshed"}

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(mesh_batch, "mesh_of_file", lambda *_: SimpleNamespace(mesh=None, frame=0))
    monkeypatch.setattr(mesh_batch, "mesh_row", lambda *_: {})
    monkeypatch.setattr(mesh_batch, "write_mesh", lambda made, folder, formats: (folder / "surface.vtp").touch())
    monkeypatch.setattr(mesh_batch, "write_marker", killed)
    with pytest.raises(KeyboardInterrupt):
        mesh_batch.run_case(case)
    assert (case.output / "surface.vtp").exists() and mesh_batch.finished_row(case) is None


@pytest.mark.slow
def test_two_workers_give_what_one_gives(tmp_path):
    """An LV, and labels without one; the files have one name, so their folders' names tell the cases apart."""
    write(tmp_path / "a" / "labels.nii.gz", left_ventricle())
    write(tmp_path / "b" / "labels.nii.gz", left_ventricle() * 0)
    arguments = ["mesh", str(tmp_path / "a"), str(tmp_path / "b"), *QUICK]
    assert main([*arguments, "-o", str(tmp_path / "one")]) == 1
    assert main([*arguments, "-o", str(tmp_path / "two"), "--workers", "2"]) == 1
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert list(one) == ["a_labels", "b_labels"] and one["a_labels"]["euler_base"] == "0"
    assert not one["a_labels"]["euler_endo_rv"] and one["b_labels"]["status"] == "failed"
    assert {k: r | {"seconds": ""} for k, r in one.items()} == {k: r | {"seconds": ""} for k, r in two.items()}


def test_label_order_of_acdc(patients):
    path = patients / "patient001" / "patient001_frame01_gt.nii.gz"
    assert np.array_equal(read_labels(path).labels[0], heart()[0])
    assert np.array_equal(read_labels(path, "acdc").labels[0], heart()[0])
    with pytest.raises(ValueError, match=r"another order.*--label-order acdc"):
        read_labels(path, "cineheart")
    elsewhere = patients / "labels.nii.gz"
    path.rename(elsewhere)
    with pytest.raises(ValueError, match=r"another order.*--label-order acdc"):
        read_labels(elsewhere)
    assert np.array_equal(read_labels(elsewhere, "acdc").labels[0], heart()[0])
    with pytest.raises(ValueError, match="Label order 'other' is not known"):
        read_labels(elsewhere, "other")


def test_limits_of_the_table():
    row = dict.fromkeys(COUNTS, 0) | {"components": 1, "euler": 2, "patch_components_max": 1}
    row |= {"euler_epi": 1, "euler_endo_lv": 1, "euler_endo_rv": 1, "euler_base": -1}
    assert beyond_limits(row) == []
    row |= {"euler": 0, "rv_pool_error_percent": -2.3, "scaled_jacobian_mean": 0.7801, "distance_p95_mm": 1.6}
    assert beyond_limits(row) == ["euler 0", "rv_pool_error_percent -2.3", "distance_p95_mm 1.6"]
    assert "euler_base -1" in beyond_limits(row | {"euler_endo_rv": None})


def _kept(labels, slices):
    cut = np.zeros_like(labels)
    cut[slices] = labels[slices]
    return cut


BAD = {
    "empty": (lambda x: x * 0, "contain no LV pool (label 1)"),
    "RV only": (lambda x: np.where(x == 3, 3, 0), "contain no LV pool (label 1)"),
    "one slice": (lambda x: _kept(x, [-1]), "LV pool is labelled in 1 slices"),
    "two slices": (lambda x: _kept(x, [-2, -1]), "LV pool is labelled in 2 slices"),
    "RV at the border": (lambda x: x[:, :, : np.nonzero(x == 3)[2].max() + 1], "RV pool touches the border"),
    "0 and 255": (lambda x: np.where(x > 0, 255, 0), "holds the values 0, 255"),
    "fractions": (lambda x: x * np.float32(0.5), "holds fractions"),
    "unknown codes": (lambda x: np.where(x == 2, 7, x), "holds the values 0, 1, 3, 7"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_labels_end_in_one_sentence_that_names_the_file(case, tmp_path, capsys):
    change, message = BAD[case]
    labels = change(heart()[0])
    write(tmp_path / "labels.nii.gz", labels if labels.dtype == np.float32 else labels.astype(np.uint8))
    assert main(["mesh", str(tmp_path / "labels.nii.gz"), "-o", str(tmp_path / "out"), *QUICK]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and "labels.nii.gz" in said and len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_negative_spacing_is_read_as_the_flip_it_stands_for(tmp_path, rough_meshes, capsys):
    """An NRRD whose first axis runs the other way: the mesh is that of the labels mirrored in place."""
    labels = np.where(heart()[0] == 3, 0, heart()[0]).astype(np.uint8)
    matrix = heart()[1].copy()
    path = tmp_path / "labels.nrrd"
    sitk.WriteImage(to_sitk(labels, matrix), str(path))
    header, voxels = path.read_bytes().split(b"\n\n", 1)
    path.write_bytes(header.replace(b"directions: (2,", b"directions: (-2,") + b"\n\n" + voxels)
    assert read_labels(path).ijk_to_lps[0, 0] == -2
    assert main(["mesh", str(path), "-o", str(tmp_path / "out"), *QUICK]) == 0
    quality = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert quality["patch_euler"] == {"EPI": 1, "ENDO_LV": 1, "BASE": 0} and quality["inverted_tets"] == 0


def test_options_of_the_command(tmp_path, rough_meshes, capsys):
    path = tmp_path / "labels.nii.gz"
    write(path, np.array([0, 3, 2, 0], np.uint8)[heart()[0]])
    arguments = ["mesh", str(path), *QUICK]
    assert main([*arguments, "-o", str(tmp_path / "o"), "--align-slices", "--label-order", "acdc"]) == 0
    assert "aligned in their planes" in capsys.readouterr().err
    assert main([*arguments, "-o", str(tmp_path / "p"), "--label-order", "theirs"]) == 2
    assert main([*arguments, str(tmp_path / "nothing"), "-o", str(tmp_path / "q")]) == 2


def alive(pid) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return (Path("/proc") / pid / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid) -> list[str]:
    """Processes that a process started, with what these started."""
    try:
        lists = (Path("/proc") / str(pid) / "task").glob("*/children")  # any of its threads may have started them
        own = [child for found in lists for child in found.read_text().split()]
    except OSError:
        return []
    return own + [further for child in own for further in children(child)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see the worker processes")
@pytest.mark.parametrize("ended_by", ["SIGTERM", "SIGKILL"])
def test_a_killed_batch_leaves_no_worker_and_can_be_started_again(tmp_path, rough_meshes, ended_by):
    """Two workers, ended at work: both are gone, nothing unfinished lies about, finished cases stay."""
    for name in ("a", "b"):
        write(tmp_path / name / "labels.nii.gz", left_ventricle())
    out = tmp_path / "out"
    arguments = [*(str(tmp_path / name) for name in ("a", "b")), "-o", str(out)]
    command = [
        sys.executable,
        "-m",
        "cineheart",
        "mesh",
        *arguments,
        "--edge-length",
        "2.2",
        "--no-fibres",
        "--workers",
        "2",
    ]
    (out / "a_labels").mkdir(parents=True)
    kept = out / "a_labels" / "mine.txt"
    kept.write_text("kept")
    batch = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    workers = wait_for(lambda: [p for p in children(batch.pid) if b"spawn_main" in cmdline(p)], 2)
    wait_for(lambda: [p for p in workers if cpu_seconds(p) > 1.0], 2)
    assert batch.poll() is None
    batch.send_signal(getattr(signal, ended_by))
    said = batch.communicate(timeout=120)[1]
    wait_for(lambda: [p for p in workers if not alive(p)], 2)
    if ended_by != "SIGKILL":
        assert batch.returncode == 1 and "run the same command again" in said and "Traceback" not in said
        assert not [path for path in out.iterdir() if path.name.startswith(".")]
    assert kept.read_text() == "kept"
    quick = ["mesh", *arguments, *QUICK]
    assert main(quick) == 0
    assert {row["status"] for row in rows(out).values()} == {"meshed"} and len(rows(out)) == 2


def cmdline(pid) -> bytes:
    try:
        return (Path("/proc") / pid / "cmdline").read_bytes()
    except OSError:
        return b""


def cpu_seconds(pid) -> float:
    """CPU time of a process: 1 s of it is past the imports."""
    fields = (Path("/proc") / pid / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(find, count: int, seconds: float = 120.0):
    """What ``find`` gives, once it has ``count`` entries."""
    end = time.monotonic() + seconds
    while len(found := find()) < count:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found
