"""Many studies: which they are, that each is done once, that a bad one is a row, and what table and page say."""

import csv
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from CardiacLib.errors import InputError
from CardiacLib.files import safe_name
from CardiacLib.writers.images import write_cine
from cineheart.cli import main
from cineheart.cohort.batch import shard_of
from cineheart.cohort.engine import RowTask, Workers, _require_usable, rows_of, run_jobs
from cineheart.cohort.graphs import bland_altman, histogram
from cineheart.cohort.page import outlier_scores, write_page
from cineheart.cohort.studies import find_studies
from cineheart.cohort.table import columns_of, write_table
from cineheart.cohort.task import StudyJob, fingerprint, finished_row
from cineheart.pipeline import FurtherFiles, RunOptions


@pytest.fixture(scope="module")
def studies(tmp_path_factory, little_heart) -> Path:
    """Two good studies, one of them a link, and one whose image is cut off."""
    folder = tmp_path_factory.mktemp("studies")
    for name in ("anna", "carl"):
        (folder / name).mkdir()
        write_cine(folder / name / "sax.nii.gz", little_heart.cines["sax"])
    (folder / "berta").symlink_to(folder / "anna")
    (folder / "damaged").mkdir()
    whole = (folder / "anna" / "sax.nii.gz").read_bytes()
    (folder / "damaged" / "sax.nii.gz").write_bytes(whole[: len(whole) // 2])
    return folder


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "cohort.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_folder_holds_studies_or_is_one(studies, tmp_path):
    assert [study.name for study in find_studies([studies])] == ["anna", "carl", "damaged"]  # a link is the same again
    assert [study.name for study in find_studies([studies / "anna"])] == ["anna"]
    assert [study.name for study in find_studies([Path(f"{studies}/c*")])] == ["carl"]
    for source, why in ((studies / "nobody", "does not exist"), (Path(f"{studies}/z*"), "fits no folder")):
        with pytest.raises(InputError, match=why):
            find_studies([source])
    for name in ("one", "two"):
        (tmp_path / name / "visit").mkdir(parents=True)
        (tmp_path / name / "visit" / "sax.nii.gz").touch()
    found = find_studies([Path(f"{tmp_path}/*/visit")])
    assert [study.name for study in found] == ["one_visit", "two_visit"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_manifest_names_studies_bodies_and_references(studies, tmp_path, kind):
    rows = [
        {"study": str(studies / "anna"), "name": "A", "height_cm": 170, "reference_lv_edv_ml": 75.5},
        {"study": str(studies / "carl"), "name": "C", "height_cm": None, "reference_lv_edv_ml": None},
    ]
    path = tmp_path / f"cohort.{kind}"
    if kind == "csv":
        with open(path, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        arrow = pytest.importorskip("pyarrow")
        __import__("pyarrow.parquet").parquet.write_table(arrow.Table.from_pylist(rows), path)
    one, two = find_studies([path])
    assert (one.name, one.path, one.patient.height_m) == ("A", studies / "anna", 1.7)
    assert one.references == {"lv_edv_ml": 75.5} and two.references == {} and two.patient.height_m is None


def test_a_manifest_that_does_not_fit_is_one_sentence(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("study,height_cm\n,1\n")
    with pytest.raises(InputError, match="line 2 has nothing in the column study"):
        find_studies([path])
    path.write_text("study,height_cm\nx,tall\n")
    with pytest.raises(InputError, match="height_cm: 'tall' is no number"):
        find_studies([path])
    damaged = tmp_path / "m.parquet"
    damaged.write_bytes(b"PAR1 nothing")
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match="no Parquet table"):
        find_studies([damaged])


def test_shards_are_told_by_two_numbers():
    assert shard_of("1/3") == (1, 3)
    for text in ("3/3", "1", "a/b", "-1/2"):
        with pytest.raises(InputError, match="write i/N"):
            shard_of(text)


@pytest.mark.slow
def test_each_study_is_done_once_and_a_bad_one_is_a_row(studies, tmp_path, random_bundle, monkeypatch, capsys):
    output = tmp_path / "out"
    words = ["batch", str(studies), "-o", str(output), "--workers", "1", "--no-mesh", "--bundle", str(random_bundle)]
    assert main([*words, "--shard", "0/2", "--json"]) == 1  # anna and the damaged one
    first = json.loads(capsys.readouterr().out)
    assert (first["studies"], first["done"], first["failed"], first["left"]) == (3, 1, ["damaged"], 1)
    when = (output / "anna" / "done.json").stat().st_mtime_ns
    assert main([*words, "--json"]) == 1
    second = json.loads(capsys.readouterr().out)
    assert (second["done"], second["done_before"], second["left"]) == (2, 2, 0)
    assert (output / "anna" / "done.json").stat().st_mtime_ns == when
    rows = {row["study"]: row for row in table(output)}
    assert rows["damaged"]["status"] == "failed" and "truncated or damaged" in rows["damaged"]["reason"]
    assert sorted(path.name for path in (output / "damaged").iterdir()) == ["done.json"]
    assert rows["anna"]["lv_edv_ml"] == rows["carl"]["lv_edv_ml"] and float(rows["anna"]["seconds_segment"]) > 0
    assert len(rows["anna"]["network_sha256_1"]) == 64
    for name in ("report.html", "thumbnail.jpg", "segmentation/labels.nii.gz", "study.json"):
        assert (output / "anna" / name).is_file(), name
    assert not [path for path in output.iterdir() if path.name.startswith(".")]
    page = (output / "cohort.html").read_text(encoding="utf-8")
    assert 'href="anna/report.html"' in page and 'src="carl/thumbnail.jpg"' in page
    assert page.index("truncated or damaged") < page.index('href="anna/report.html"')  # failed ones first


def test_what_changed_is_done_again(studies, tmp_path):
    study = find_studies([studies / "anna"])[0]
    job = StudyJob(study, tmp_path / "anna", RunOptions(files=FurtherFiles(scene=False)), ("abc",))
    job.output.mkdir()
    document = {"made_from": job.made_from(), "row": {"study": "anna", "status": "done"}}
    (job.output / "done.json").write_text(json.dumps(document))
    assert finished_row(job) == document["row"]
    for other in (
        replace(job, networks=("def",)),
        replace(job, options=RunOptions(files=FurtherFiles(scene=False), cut_at_valves=True)),
        replace(job, study=replace(study, patient=replace(study.patient, height_m=1.8))),
    ):
        assert finished_row(other) is None
    document["row"]["status"] = "failed"
    (job.output / "done.json").write_text(json.dumps(document))
    assert finished_row(job) and finished_row(job, failed_too=False) is None
    image = tmp_path / "copy" / "sax.nii.gz"
    image.parent.mkdir()
    image.write_bytes((studies / "anna" / "sax.nii.gz").read_bytes())
    before = fingerprint(image.parent)
    os.utime(image, ns=(time.time_ns(), time.time_ns() + 1_000_000))
    assert fingerprint(image.parent) != before


def square(number: int) -> int:
    """A task; 3 is beyond it, and 4 ends its process."""
    if number == 3:
        raise ValueError("three")
    if number == 4:
        os._exit(1)
    return number**2


def square_row(number: int) -> dict[str, object]:
    return {"status": "done", "square": square(number)}


@pytest.mark.slow
def test_workers_that_die_lose_nothing_but_their_study(tmp_path, monkeypatch):
    """The others are done; what a dead process left unfinished goes, what is of no job of these stays."""
    pytest.importorskip("distributed")
    monkeypatch.setattr("cineheart.cohort.engine.DEATHS", 0)
    for name in (".4-abcdefgh", ".6-abcdefgh", "4"):
        (tmp_path / name).mkdir()
    told: list[str] = []
    task = RowTask(square_row, lambda job, problem: {"status": "failed", "reason": problem}, tmp_path)
    jobs = {str(n): n for n in range(1, 6)}
    found = dict(rows_of(task, jobs, Workers(2), lambda fraction, message: told.append(message)))
    assert {name: row["square"] for name, row in found.items() if row["status"] == "done"} == {"1": 1, "2": 4, "5": 25}
    assert found["3"]["reason"] == "ValueError: three" and "processes died at it" in found["4"]["reason"]
    assert sorted(place.name for place in tmp_path.iterdir()) == [".6-abcdefgh", "4"]
    assert len(told) == 5 and "(5 of 5, " in told[-1] and "0 s left" in told[-1]


@pytest.mark.slow
def test_jobs_of_a_queue_are_workers_too(tmp_path, monkeypatch):
    """Dask-jobqueue's local class: its worker is started by a job script, comes late, and does all of them."""
    local = pytest.importorskip("dask_jobqueue.local")
    monkeypatch.chdir(tmp_path)
    with local.LocalCluster(cores=1, processes=1, memory="1GB", interface="lo") as cluster:
        cluster.scale(jobs=1)
        workers = Workers(1, cluster.scheduler_address)
        with pytest.raises(InputError, match="workers cannot import test_cohort"):
            list(run_jobs(square, {"a": 2}, workers))  # nor wait for ever
        found = {name: value for name, value, problem in run_jobs(safe_name, {"a": "x/y", "b": ".", "c": "z"}, workers)}
    assert found == {"a": "x_y", "b": "study", "c": "z"}


def test_the_job_script_of_the_page_is_one():
    """The lines of Docs/Cohorts.md, up to the start of jobs, by the class that talks to SLURM."""
    slurm = pytest.importorskip("dask_jobqueue.slurm")
    page = (Path(__file__).parents[2] / "Docs" / "Cohorts.md").read_text(encoding="utf-8")
    arguments = page.split("SLURMCluster(", 1)[1].split(")\n", 1)[0]
    script = slurm.SLURMJob("tcp://node:8786", "cineheart", **eval(f"dict({arguments})")).job_script()
    for line in ("#SBATCH --cpus-per-task=16", "#SBATCH --mem=60G", "#SBATCH -t 08:00:00", "export OMP_NUM_THREADS=2"):
        assert line in script.splitlines(), script
    assert f"{sys.executable} -m distributed.cli.dask_worker tcp://node:8786" in script
    assert "--nworkers 8" in script and "--nthreads 1" in script


def test_workers_of_several_threads_are_refused():
    client = SimpleNamespace(wait_for_workers=lambda count: None, nthreads=lambda: {"tcp://a:1": 1, "tcp://b:1": 2})
    with pytest.raises(InputError, match="tcp://s:1: its workers do several studies in one process"):
        _require_usable("math", client, "tcp://s:1")


def test_one_worker_needs_no_dask():
    assert list(run_jobs(square, {"a": 2, "b": 5}, Workers(1))) == [("a", 4, ""), ("b", 25, "")]


def test_no_scheduler_is_one_sentence():
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        list(run_jobs(square, {"a": 2}, Workers(1, "nonsense://here")))


def some_rows(n: int = 12) -> list[dict[str, object]]:
    values = np.random.default_rng(0).normal(150, 10, n)
    rows = [{"study": f"s{k}", "status": "done", "lv_edv_ml": float(value)} for k, value in enumerate(values)]
    rows[7]["lv_edv_ml"] = 400.0
    return [*rows, {"study": "bad", "status": "failed", "reason": "No <image>."}]


def test_outliers_come_first_and_texts_are_escaped(tmp_path):
    rows = some_rows()
    scores = outlier_scores(rows)
    assert (
        max(range(len(rows)), key=lambda k: scores[k][0]) == 7 and scores[7][1] == "LV EDV" and scores[12] == (0.0, "")
    )
    for row in rows[:12]:
        row["reference_lv_edv_ml"] = row["lv_edv_ml"] - 5
    write_page(rows, tmp_path)
    page = (tmp_path / "cohort.html").read_text(encoding="utf-8")
    assert "No &lt;image&gt;." in page and "<image>" not in page
    assert page.index(">bad<") < page.index(">s7<") < page.index(">s0<")
    assert "measured minus reference +5.00, SD 0.00" in page


def test_the_table_has_every_column_once(tmp_path):
    rows = some_rows()
    assert columns_of(rows)[:3] == ["study", "status", "reason"]
    write_table(rows, tmp_path)
    assert [row["study"] for row in table(tmp_path)] == [row["study"] for row in rows]
    parquet = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "cohort.parquet").to_pylist()
    assert parquet[7]["lv_edv_ml"] == 400.0 and parquet[12]["lv_edv_ml"] is None and parquet[0]["reason"] is None


def test_graphs_show_every_study():
    pairs = np.array([[60.0, 58], [55, 56], [70, 66]])
    assert bland_altman(pairs, "lv_ef_percent").count("<circle") == 3
    bars = histogram(np.random.default_rng(0).normal(60, 5, 200), "EF")
    assert 5 < bars.count("<rect") <= 30


def test_files_of_a_folder_are_studies_too(tmp_path):
    for name in ("one", "two"):
        frames = [sitk.GetImageFromArray(np.zeros((4, 8, 8), np.float32)) for _ in range(2)]
        sitk.WriteImage(sitk.JoinSeries(frames), str(tmp_path / f"{name}.nii.gz"))
    assert [study.name for study in find_studies([tmp_path])] == ["one", "two"]
