"""``cineheart train`` and ``cineheart evaluate`` as a user runs them, on a few made patients in ACDC's form."""

import csv
import json

import nibabel
import numpy as np
import pytest

from CardiacLib.bundles import bundle_path
from cineheart.cli import main

FROM_OURS = np.array([0, 3, 2, 1], np.uint8)


def write_patient(folder, labels: np.ndarray, seed: int) -> None:
    """Labels (K, J, I) in our order as an ACDC patient whose ES heart is smaller."""
    folder.mkdir()
    (folder / "Info.cfg").write_text("ED: 1\nES: 9\nGroup: NOR\nHeight: 170.0\nNbFrame: 20\nWeight: 70.0\n")
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
        write_patient(folder / f"patient{number:03d}", make_ring_labels(), number)
    return folder


def test_train_then_evaluate(patients, tmp_path, capsys):
    shipped = (bundle_path("cineheart_sax") / "docs" / "README.md").read_text(encoding="utf-8")
    train = ["train", "cineheart_sax", "--data", str(patients), "-o", str(tmp_path), "--device", "cpu", "--json"]
    assert main([*train, "--epochs", "1"]) == 0
    bundle = tmp_path / "cineheart_sax"
    assert json.loads(capsys.readouterr().out)["bundle"] == str(bundle)
    assert (bundle / "models" / "model.pt").is_file() and (bundle / "training" / "log.csv").is_file()

    out = tmp_path / "evaluation"
    assert main(["evaluate", str(bundle), "--data", str(patients), "-o", str(out), "--device", "cpu", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["patients"] == 3
    rows = list(csv.DictReader((out / "evaluation.csv").read_text().splitlines()))
    assert len(rows) == 3 * 2 * 3
    mean = np.mean([float(row["dice"]) for row in rows])
    assert mean == pytest.approx(facts["mean_dice"], abs=1e-4)
    assert len(list(out.glob("worst_*.png"))) == 3
    card = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    assert f"mean foreground Dice **{mean:.4f}**" in card
    assert (bundle_path("cineheart_sax") / "docs" / "README.md").read_text(encoding="utf-8") == shipped
