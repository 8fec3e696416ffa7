"""Cross-validation of slice propagation: every patient is held out once, finished folds are kept."""

import json

import numpy as np
import pytest

from CardiacLib.datasets.acdc import patient_folders
from cineheart.cli import main
from cineheart.evaluate.propagation import BUNDLES, methods_of
from cineheart.outputs import write_rows


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def acdc(root):
    for number in range(1, 6):
        folder = root / f"patient{number:03d}"
        for frame in ("01", "01_gt", "12", "12_gt"):
            touch(folder / f"{folder.name}_frame{frame}.nii.gz")
        (folder / "Info.cfg").write_text("ED: 1\nES: 12\n")


def pairs(root):
    for name in "abcde":
        for phase in ("ED", "ES"):
            touch(root / "images" / f"{name}_{phase}.nii.gz")
            touch(root / "labels" / f"{name}_{phase}.nii.gz")


@pytest.mark.parametrize(("layout", "folds"), [(acdc, 5), (pairs, 2)])
def test_every_fold_is_trained_without_its_patients_and_kept(layout, folds, tmp_path, monkeypatch):
    trained, evaluated = [], []
    layout(tmp_path / "data")

    def train(name, data, folder, options, progress):
        trained.append((name, options.fold, options.epochs))

    def evaluate(bundle, data, output, options, *, progress):
        fold = int(output.parent.name.removeprefix("fold"))
        assert data == output.parent / BUNDLES[0] / "training" / "cases.csv" and options.labelled.every
        assert options.segmentation == (layout is acdc and fold == 0)  # of no other fold is cineheart_sax independent
        evaluated.append(fold)
        output.mkdir(parents=True)
        methods = methods_of(options.segmentation)
        write_rows(output / "evaluation.csv", [{"method": m, "myocardium": 0.5 + fold / 10} for m in methods])

    monkeypatch.setattr("cineheart.commands.networks.crossvalidate.train_bundle", train)
    monkeypatch.setattr("cineheart.commands.networks.crossvalidate.evaluate_propagation", evaluate)
    words = ["crossvalidate", "biv_propagation", "--data", str(tmp_path / "data"), "-o", str(tmp_path / "out")]
    words += ["--epochs", "2", "--folds", str(folds)]
    assert main(words) == 0
    every = list(range(folds))
    assert trained == [(name, fold, 2) for fold in every for name in BUNDLES] and evaluated == every
    facts = json.loads((tmp_path / "out" / "crossvalidation.json").read_text())
    values = 0.5 + np.arange(folds) / 10
    assert facts["volumes"] == folds
    assert facts["network"].startswith(f"{values.mean():.4f} +- {values.std(ddof=1):.4f}")
    # No mean of one fold among means of five.
    assert set(facts) - {"volumes", "provenance"} == set(methods_of(False))
    (tmp_path / "out" / "fold1" / "evaluation" / "evaluation.csv").unlink()
    (tmp_path / "out" / "fold1" / "evaluation").rmdir()
    assert main(words) == 0 and evaluated == [*every, 1]


def test_folds_hold_out_every_patient_once(tmp_path):
    for number in range(1, 101):
        (tmp_path / f"patient{number:03d}").mkdir()
    held_out = [f.name for fold in range(5) for f in patient_folders(tmp_path, True, fold)]
    assert len(held_out) == len(set(held_out)) == 100
    for fold in range(5):
        assert not set(patient_folders(tmp_path, True, fold)) & set(patient_folders(tmp_path, False, fold))
