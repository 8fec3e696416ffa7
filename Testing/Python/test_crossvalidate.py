"""Cross-validation of slice propagation: every patient is held out once, finished folds are kept."""

import json

from CardiacLib.datasets.acdc import patient_folders
from cineheart.cli import main
from cineheart.evaluate.propagation import BUNDLES, methods_of
from cineheart.outputs import write_rows


def test_every_fold_is_trained_without_its_patients_and_kept(tmp_path, monkeypatch):
    trained, evaluated = [], []

    def train(name, data, folder, options, progress):
        trained.append((name, options.fold, options.epochs))

    def evaluate(bundle, data, output, options, *, progress):
        fold = options.fold
        evaluated.append(fold)
        output.mkdir(parents=True)
        write_rows(output / "evaluation.csv", [{"method": m, "myocardium": 0.5 + fold / 10} for m in methods_of(fold)])

    monkeypatch.setattr("cineheart.commands.networks.crossvalidate.train_bundle", train)
    monkeypatch.setattr("cineheart.commands.networks.crossvalidate.evaluate_propagation", evaluate)
    words = ["crossvalidate", "biv_propagation", "--data", str(tmp_path), "-o", str(tmp_path / "out"), "--epochs", "2"]
    assert main(words) == 0
    assert trained == [(name, fold, 2) for fold in range(5) for name in BUNDLES] and evaluated == [0, 1, 2, 3, 4]
    facts = json.loads((tmp_path / "out" / "crossvalidation.json").read_text())
    assert facts["volumes"] == 5 and facts["network"].startswith("0.7000 +- 0.1581")
    assert set(facts) - {"volumes", "provenance"} == set(methods_of(1))  # no mean of one fold among means of five
    (tmp_path / "out" / "fold3" / "evaluation" / "evaluation.csv").unlink()
    (tmp_path / "out" / "fold3" / "evaluation").rmdir()
    assert main(words) == 0 and evaluated == [0, 1, 2, 3, 4, 3]
    assert main(["crossvalidate", "cineheart_sax", "--data", str(tmp_path), "-o", str(tmp_path / "other")]) == 2


def test_folds_hold_out_every_patient_once(tmp_path):
    for number in range(1, 101):
        (tmp_path / f"patient{number:03d}").mkdir()
    held_out = [f.name for fold in range(5) for f in patient_folders(tmp_path, True, fold)]
    assert len(held_out) == len(set(held_out)) == 100
    for fold in range(5):
        assert not set(patient_folders(tmp_path, True, fold)) & set(patient_folders(tmp_path, False, fold))
