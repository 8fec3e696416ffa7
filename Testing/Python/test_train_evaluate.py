"""``cineheart train`` and ``cineheart evaluate`` as a user runs them, on a few made patients in ACDC's form."""

import csv
import json
import re
import shutil
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.phantom import PhantomOptions
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import Segmentation
from CardiacSegLib.evaluate import robustness
from CardiacSegLib.evaluate.evaluation import Case, acdc_patients, compare
from CardiacSegLib.evaluate.summary import ALL, UNITS, measurement_rows, summary
from cineheart.cli import main
from cineheart.evaluate import NOT_MEASURED, EvaluationChoice, Section, evaluate_bundle
from cineheart.evaluate.card import write_section
from cineheart.evaluate.learning_curve import draw_learning_curve, read_log

FROM_OURS = np.array([0, 3, 2, 1], np.uint8)


def write_patient(folder, labels: np.ndarray, seed: int, group: str = "NOR") -> None:
    """Labels (K, J, I) in our order as an ACDC patient whose ES heart is smaller."""
    folder.mkdir()
    (folder / "Info.cfg").write_text(f"ED: 1\nES: 9\nGroup: {group}\nHeight: 170.0\nNbFrame: 20\nWeight: 70.0\n")
    rng = np.random.default_rng(seed)
    for frame, drop in ((1, 0), (9, 1)):
        truth = np.roll(labels, -drop, axis=0) * (np.arange(len(labels)) < len(labels) - drop)[:, None, None]
        image = np.array([40, 220, 80, 200])[truth] + rng.normal(0, 10, truth.shape)
        for name, array in (("", image.astype(np.int16)), ("_gt", FROM_OURS[truth])):
            file = folder / f"{folder.name}_frame{frame:02d}{name}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(array.T, np.diag([1.6, 1.6, 10.0, 1.0])), file)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    from conftest import make_ring_labels

    folder = tmp_path_factory.mktemp("acdc")
    for number in (4, 5, 9, 10, 15):
        group = "DCM" if number == 15 else "NOR"
        write_patient(folder / f"patient{number:03d}", make_ring_labels(), number, group)
    return folder


@pytest.fixture(scope="module")
def narrow_bundle(tmp_path_factory):
    """The shipped short-axis bundle with few channels and small windows, so that training takes seconds."""
    folder = tmp_path_factory.mktemp("narrow") / "narrow_sax"
    for part in ("configs", "docs"):
        shutil.copytree(bundle_path("cineheart_sax") / part, folder / part)
    small = {"canvas": 96, "windows": [64], "phantoms": 1, "phantom_slices": 8}
    for name, changes in (("train", small), ("inference", {"window": 64})):
        path = folder / "configs" / f"{name}.json"
        config = json.loads(path.read_text(encoding="utf-8")) | changes
        config["network_def"]["channels"] = [4] * len(config["network_def"]["channels"])
        path.write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(patients, narrow_bundle, tmp_path_factory):
    """The narrow bundle trained for one epoch by the command."""
    folder = tmp_path_factory.mktemp("trained")
    train = [
        "train",
        str(narrow_bundle),
        "--trust",
        "--data",
        str(patients),
        "-o",
        str(folder),
        "--device",
        "cpu",
        "--json",
    ]
    assert main([*train, "--epochs", "1"]) == 0
    return folder / "narrow_sax"


@pytest.mark.slow
def test_train_writes_weights_log_and_learning_curve(trained):
    assert (trained / "models" / "model.pt").is_file()
    assert is_png(trained / "training" / "learning_curve.png")
    log = read_log(trained / "training" / "log.csv")
    assert list(log) == [1]
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = accumulator.EventAccumulator(str(trained / "training" / "tensorboard")).Reload()
    assert {"loss", "seconds", *log[1]["validation"]} <= set(board.Tags()["scalars"])
    (loss,) = board.Scalars("loss")
    assert loss.step == 1 and loss.value == pytest.approx(log[1]["loss"], rel=1e-5)


@pytest.mark.slow
def test_train_with_a_teacher(patients, narrow_bundle, trained, tmp_path):
    command = ["train", str(narrow_bundle), "--trust", "--data", str(patients), "-o", str(tmp_path), "--device", "cpu"]
    taught = ["--epochs", "1", "--phantoms", "0", "--teacher", str(trained), "--soft-weight", "1"]
    one = next(patients.glob("patient004/*_frame01.nii.gz"))
    assert main([*command, *taught, "--unlabelled", str(one), "--json"]) == 0
    folder = tmp_path / "narrow_sax"
    assert len(list((folder / "training" / "soft_labels").glob("*.npz"))) == 2 + 1  # patients 4 and 9, and the volume
    assert (folder / "models" / "model.pt").read_bytes() != (trained / "models" / "model.pt").read_bytes()


@pytest.mark.slow
def test_evaluate(patients, narrow_bundle, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(robustness, "CHANGES", robustness.CHANGES[-6:-3])  # test_robustness.py tries all
    monkeypatch.setattr("cineheart.evaluate.phantom.OPTIONS", PhantomOptions.small(n_frames=2))
    source = (narrow_bundle / "docs" / "README.md").read_text(encoding="utf-8")
    out = tmp_path / "evaluation"
    command = ["evaluate", str(trained), "--data", str(patients), "-o", str(out), "--device", "cpu", "--json"]
    assert "No accuracy is known" in (trained / "docs" / "README.md").read_text(encoding="utf-8")
    assert main([*command, "--robustness", "--update-card", "--trust"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["patients"] == 3
    rows = list(csv.DictReader((out / "evaluation.csv").read_text().splitlines()))
    assert len(rows) == 3 * 2 * 3
    mean = np.mean([float(row["dice"]) for row in rows])
    assert mean == pytest.approx(facts["mean_dice"], abs=1e-4)
    assert len(list(csv.DictReader((out / "measurements.csv").read_text().splitlines()))) == 3
    assert len(list(csv.DictReader((out / "robustness.csv").read_text().splitlines()))) == 3 * 2 * 3 * 3
    written = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert written["groups"] == {"DCM": 1, "NOR": 2} and len(written["robustness"]["table"]) == 3
    page = (out / "evaluation.md").read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((.*?)\)", page)
    assert len(pictures) == 3 + 4 and set(pictures) == {path.name for path in out.glob("*.png")}
    assert all(is_png(out / name) for name in pictures)

    card = (trained / "docs" / "README.md").read_text(encoding="utf-8")
    assert f"mean foreground Dice **{mean:.4f}**" in card and "| gamma 1.6: " in card
    assert "| LV EDV, ml | 140.0 | " in card and written["phantom"]["RV EF, %"]["true"] == pytest.approx(56.0, abs=0.5)
    assert (narrow_bundle / "docs" / "README.md").read_text(encoding="utf-8") == source


@pytest.mark.slow
def test_another_part_adds_its_section_and_old_robustness_goes(patients, trained, tmp_path, monkeypatch):
    def count(cases):
        return Section("counted", "Counted", {"cases": len(cases)}, f"{len(cases)} cases were seen.\n")

    monkeypatch.setattr("cineheart.evaluate._draw", lambda *_: None)  # drawn in the test above
    write_section(trained / "docs" / "README.md", "robustness", "Robustness", "of other weights\n")
    before = (trained / "docs" / "README.md").read_text(encoding="utf-8")
    network = NetworkChoice(str(trained), RunsOn("cpu"), trust=True)
    evaluate_bundle(network, patients, tmp_path / "unasked", EvaluationChoice(sections=(count,)))
    assert (trained / "docs" / "README.md").read_text(encoding="utf-8") == before
    evaluate_bundle(network, patients, tmp_path / "out", EvaluationChoice(sections=(count,), update_card=True))
    card = (trained / "docs" / "README.md").read_text(encoding="utf-8")
    assert "3 cases were seen." in card and NOT_MEASURED in card and "of other weights" not in card
    assert "## Counted\n\n3 cases were seen." in (tmp_path / "out" / "evaluation.md").read_text(encoding="utf-8")
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert written["counted"] == {"cases": 3} and written["robustness"] is None


def made_cases(patients) -> list[Case]:
    """The experts' labels as if found, but the LV of patient 010 is missed at ES and the RV of 005 loses a slice."""
    cases = []
    for patient in acdc_patients([patients / f"patient{number:03d}" for number in (5, 10, 15)]):
        labels = patient.true.labels.copy()
        if patient.name == "patient010":
            labels[1][labels[1] == 1] = 0
        if patient.name == "patient005":
            labels[0, 3][labels[0, 3] == 3] = 0
        found = replace(patient.true, labels=labels)
        cases.append(Case(patient, Segmentation(found, statistics=None), tuple(compare(patient, found))))
    return cases


def test_summary_of_known_errors(patients):
    cases = made_cases(patients)
    result = summary(cases)
    table = {(row["structure"], row["phase"], row["group"]): row for row in result["table"]}
    assert len(table) == 6 * 3

    missed = table["LV", "ES", ALL]
    assert missed["missed"] == 1 and missed["dice"]["mean"] == pytest.approx(2 / 3)
    assert missed["dice"]["worst_patient"] == "patient010" and missed["dice"]["sd"] == pytest.approx(3**-0.5)
    assert missed["hausdorff_mm"]["mean"] == 0.0
    only = table["LV", "ES", "DCM"]
    assert only["patients"] == 1 and only["dice"] == {
        "mean": 1.0, "sd": None, "worst": 1.0, "worst_patient": "patient015",
    }  # fmt: skip
    cut = table["RV", "ED", ALL]
    assert cut["precision"]["mean"] == 1.0 and cut["recall"]["worst"] < 1.0
    assert cut["hausdorff_mm"]["worst"] >= 10.0 and cut["hausdorff_mm"]["worst_patient"] == "patient005"

    assert set(result["measurements"]) == set(UNITS)
    rows = {row["patient"]: row for row in measurement_rows(cases)}
    assert rows["patient010"]["LV EF"] == 100.0 > rows["patient010"]["true LV EF"] > 0
    true = cases[0].patient.true
    assert rows["patient005"]["true LV mass"] == pytest.approx(true.volume_ml(2)[0] * 1.05)
    assert rows["patient005"]["true RV EDV"] == pytest.approx(true.volume_ml(3)[0])
    lost = (rows["patient005"]["RV EDV"] - rows["patient005"]["true RV EDV"]) / 3
    assert result["measurements"]["RV EDV"]["bias"] == pytest.approx(lost) and lost < 0
    assert result["measurements"]["LV mass"]["bias"] == 0.0


def test_an_ejection_fraction_that_cannot_be_had_is_left_out(patients):
    (patient,) = acdc_patients([patients / "patient005"])
    nothing = LabelMap(np.zeros_like(patient.true.labels), patient.true.ijk_to_lps, patient.true.times_ms)
    cases = [Case(patient, Segmentation(nothing, statistics=None), tuple(compare(patient, nothing)))]
    result = summary(cases)
    assert "LV EF" not in result["measurements"] and result["measurements"]["LV EDV"]["n"] == 1
    assert result["mean_dice"] == 0.0 and result["mean_hausdorff_mm"] is None
    json.dumps(result, allow_nan=False)


def test_a_card_without_markers_gets_the_section(tmp_path):
    card = tmp_path / "docs" / "README.md"
    write_section(card, "evaluation", "Accuracy", "first\n")
    write_section(card, "robustness", "Robustness", "second\n")
    write_section(card, "evaluation", "Accuracy", "third \\1\n")
    text = card.read_text(encoding="utf-8")
    assert text.startswith("## Accuracy") and "first" not in text and text.count("<!-- evaluation -->") == 1
    assert text.index("third \\1") < text.index("## Robustness") < text.index("second")


def test_learning_curve_of_an_interrupted_run(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("epoch,loss,seconds,validation\n1,0.9,2,\n2,0.7,2,\n2,0.6,2,\"{'lv': 0.8, 'rv': 0.5}\"\n")
    assert read_log(log) == {
        1: {"loss": 0.9, "validation": {}},
        2: {"loss": 0.6, "validation": {"lv": 0.8, "rv": 0.5}},
    }
    draw_learning_curve(log, tmp_path / "curve.png")
    assert is_png(tmp_path / "curve.png")


@pytest.mark.parametrize("text", ["", "epoch,loss,seconds,validation\n", "a,b\n1,2\n", None])
def test_no_learning_curve_without_a_log(tmp_path, text):
    log = tmp_path / "log.csv"
    if text is not None:
        log.write_text(text)
    with pytest.raises(InputError, match=r"log\.csv"):
        draw_learning_curve(log, tmp_path / "curve.png")


def is_png(path) -> bool:
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
