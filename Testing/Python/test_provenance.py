"""Every output says what made it; ``run`` takes what the user says of the patient, and hides the patient if asked."""

import csv
import hashlib
import json
import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from CardiacLib import __version__
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path, weights_path
from CardiacLib.phantom import write_phantom
from CardiacLib.readers import read_image
from CardiacLib.readers.info_cfg import patient_beside
from CardiacLib.types.cine import Cine
from CardiacLib.types.patient import Patient
from CardiacLib.types.study import Study
from CardiacLib.writers.images import write_labels
from cineheart.cli import main
from cineheart.commands.choices import stated_patient
from cineheart.evaluate.card import write_trained_card
from cineheart.provenance import STAMPED, input_of, provenance, remembered
from cineheart.results import anonymised

NAME, PATIENT_ID = "Mustermann^Erika", "PID-4711"
ANNA = "Mustermann^Erika_4711"


@pytest.fixture(scope="module")
def made(little_heart):
    return little_heart


@pytest.fixture(scope="module")
def dicom(made, tmp_path_factory):
    """A DICOM study of a named patient, in a folder of that name."""
    folder = tmp_path_factory.mktemp("study") / ANNA
    write_phantom(made, folder, dicom=True)
    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.PatientName, dataset.PatientID = NAME, PATIENT_ID
        dataset.save_as(path)
    return folder


def run(study, output, *more) -> None:
    assert main(["run", str(study), "-o", str(output), "--no-scene", "--no-mesh", *more]) == 0


@pytest.fixture(scope="module")
def plain(dicom, tmp_path_factory):
    out = tmp_path_factory.mktemp("plain") / "out"
    run(dicom, out)
    return out


@pytest.fixture(scope="module")
def hidden(dicom, tmp_path_factory):
    out = tmp_path_factory.mktemp("hidden") / "out"
    run(dicom, out, "--anonymise", "--height", "175", "--weight=70", "--heart-rate", "75")
    return out


def read(path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_every_document_of_a_run_names_program_command_networks_and_input(plain, dicom):
    documents = [path for path in plain.rglob("*.json") if path.name in STAMPED]
    names = {path.relative_to(plain).as_posix() for path in documents}
    assert names == {
        "study.json", "segmentation/measurements.json", "segmentation/quality.json", "landmarks/landmarks.json",
        "landmarks/annulus.json",
    }  # fmt: skip
    entries = [read(path)["provenance"] for path in documents]
    assert all(entry == entries[0] for entry in entries)
    entry = entries[0]
    assert entry["cineheart"] == __version__
    assert entry["command"] == f"cineheart run '{ANNA}' -o out --no-scene --no-mesh"
    weights = hashlib.sha256(weights_path(bundle_path("cineheart_sax")).read_bytes()).hexdigest()
    assert [network["name"] for network in entry["networks"]] == [
        "cineheart_sax",
        "cineheart_lax_landmarks",
        "cineheart_lax_labels",
    ]
    assert entry["networks"][0]["sha256"] == weights and entry["networks"][0]["version"]
    (given,) = entry["inputs"]
    files = [path for path in dicom.rglob("*") if path.is_file()]
    assert (given["name"], given["files"]) == (ANNA, len(files))
    assert given["bytes"] == sum(path.stat().st_size for path in files)


def test_the_hash_of_a_folder_is_that_of_sha256sum(dicom):
    names = sorted(path.relative_to(dicom).as_posix() for path in dicom.rglob("*") if path.is_file())
    listed = subprocess.run(["sha256sum", *names], cwd=dicom, capture_output=True, check=True).stdout
    assert input_of(dicom).sha256 == hashlib.sha256(listed).hexdigest()


def test_an_input_changes_with_one_byte_and_not_with_the_results(tmp_path):
    (tmp_path / "a").write_text("1")
    before = input_of(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("result")
    (tmp_path / ".hidden").write_text("x")
    assert input_of(tmp_path, tmp_path / "out") == before and input_of(tmp_path) != before
    (tmp_path / "a").write_text("2")
    assert input_of(tmp_path, tmp_path / "out").sha256 != before.sha256


def test_a_file_is_an_input_with_its_own_hash(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"x" * 1000)
    made = provenance([tmp_path / "a.nii", None]).to_dict()
    assert made["inputs"] == [
        {"name": "a.nii", "files": 1, "bytes": 1000, "sha256": hashlib.sha256(b"x" * 1000).hexdigest()}
    ]
    assert made["command"] == "" and made["networks"] == []


def test_commands_are_told_without_folders():
    with remembered(["segment", "/data/of/x.nii.gz", "--bundle=/nets/mine", "-o", "out"]):
        assert provenance().command == "cineheart segment x.nii.gz --bundle=mine -o out"
    assert provenance().command == ""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["mesh", "meshes", "segment"])
def test_other_commands_say_it_too(command, made, tmp_path, rough_meshes):
    write_labels(tmp_path / "a.nii.gz", made.labels.only([0]))
    words = [
        "mesh",
        str(tmp_path / "a.nii.gz"),
        "-o",
        str(tmp_path / "out"),
        "--edge-length",
        "8",
        "--no-fibres",
        "--no-coordinates",
    ]
    expected = {"quality.json"}
    if command == "meshes":
        write_labels(tmp_path / "b.nii.gz", made.labels.only([0]))
        words.insert(2, str(tmp_path / "b.nii.gz"))
        expected = {f"{case}/{name}.json" for case in "ab" for name in ("quality", "case")}
    if command == "segment":
        from CardiacLib.writers.images import write_cine

        write_cine(tmp_path / "a.nii.gz", made.cines["sax"].only([0]))
        words = ["segment", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "out"), "--no-scene"]
        expected = {"measurements.json", "quality.json"}
    assert main(words) in (0, 1)
    found = {path.relative_to(tmp_path / "out").as_posix(): read(path) for path in (tmp_path / "out").rglob("*.json")}
    assert set(found) == expected
    for document in found.values():
        entry = document["provenance"]
        assert entry["command"].startswith(f"cineheart {words[0]} ") and len(entry["inputs"]) == 1
        assert len(entry["networks"]) == (command == "segment")


@pytest.mark.slow
def test_summary_has_one_row_of_the_study(plain, hidden):
    (row,) = csv.DictReader((plain / "summary.csv").open())
    measured = read(plain / "segmentation" / "measurements.json")
    assert float(row["lv_edv_ml"]) == pytest.approx(measured["lv_edv_ml"], abs=0.01)
    assert {"lv_esv_ml", "lv_ef_percent", "lv_sv_ml", "lv_cardiac_output_l_per_min", "lv_mass_g"} <= set(row)
    assert row["patient"] == PATIENT_ID and row["segmentation_light"] in ("green", "amber", "red")
    assert row["mesh_light"] == ""
    (row,) = csv.DictReader((hidden / "summary.csv").open())
    stroke, output = float(row["lv_sv_ml"]), float(row["lv_cardiac_output_l_per_min"])
    assert row["patient"] == "" and output == pytest.approx(stroke * 75 / 1000, abs=0.01)


def test_height_and_weight_give_values_per_body_surface(plain, hidden):
    indexed = read(hidden / "segmentation" / "measurements.json")
    assert indexed["lv_edv_index_ml_per_m2"] == pytest.approx(indexed["lv_edv_ml"] / 1.845, rel=0.02)
    assert read(hidden / "study.json")["patient"]["height_m"] == 1.75


def test_nothing_of_the_patient_is_in_the_results(hidden):
    words = ("mustermann", "erika", "pid-4711", "4711")
    for path in hidden.rglob("*"):
        assert not any(word in path.name.lower() for word in words)
        if path.suffix in (".json", ".csv", ".html"):
            text = path.read_text(encoding="utf-8").lower()
            assert not [word for word in words[:3] if word in text], path.name


def test_names_of_the_patient_leave_every_text():
    cine = Cine(
        np.zeros((1, 2, 3, 4), np.float32), np.eye(4), None, "sax", "/data/Roe_Jane/sax.nii.gz", ("sax.nii.gz: x",)
    )
    study = Study(
        {"sax": cine}, ("Jane_extra.nii.gz: 3 slices", "b"), ("Roe is named", "SAX: ok", "JANE_EXTRA.nii.gz too"),
        Patient("Roe^Jane", "7x", "F", height_m=1.7), "/data/Roe_Jane",
    )  # fmt: skip
    found = anonymised(study)
    assert found.patient == Patient(sex="F", height_m=1.7) and found.source == "study"
    assert found.left_out == ("image 1: 3 slices", "image 2: not used")
    assert found.notes == ("... is named", "SAX: ok", "... too")
    assert found.cines["sax"].source == "sax" and found.cines["sax"].notes == ("...: x",)
    assert found.cines["sax"].patient == Patient()


def test_a_dicom_segmentation_cannot_be_anonymous(dicom, tmp_path, capsys):
    words = ["run", str(dicom), "-o", str(tmp_path / "o"), "--no-scene", "--anonymise", "--dicom-seg"]
    assert main(words) == 2 and "leave out --anonymise" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "patient"),
    [
        ((175, 70, 60), Patient(height_m=1.75, weight_kg=70, heart_rate_bpm=60)),
        ((1.75, None, None), Patient(height_m=1.75)),
        ((None, None, 500), Patient(heart_rate_bpm=500)),
        ((52, 4.1, None), Patient(height_m=0.52, weight_kg=4.1)),
    ],
)
def test_what_the_user_says_of_the_patient(given, patient):
    assert stated_patient(*given) == patient


@pytest.mark.parametrize(
    "given", [(0, None, None), (-175, None, None), (1750, None, None), (None, 0, None), (None, None, 5)]
)
def test_what_no_patient_has(given):
    with pytest.raises(InputError, match="is not possible"):
        stated_patient(*given)


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"cineheart {__version__}"


@pytest.mark.slow
def test_run_writes_the_formats_that_are_asked_for(dicom, tmp_path, rough_meshes):
    words = ["run", str(dicom), "-o", str(tmp_path / "o"), "--no-scene", "--edge-length", "8"]
    assert main([*words, "--format", "stl,msh", "--fibre-angles", "45,-30"]) in (0, 1)
    names = {path.name for path in (tmp_path / "o" / "mesh").iterdir()}
    assert "mesh.msh" in names and "mesh.vtu" not in names and "quality.json" in names
    assert read(tmp_path / "o" / "mesh" / "quality.json")["provenance"]["networks"]


@pytest.mark.parametrize(
    "words", [["--format", "doc"], ["--fibre-angles", "x"], ["--no-mesh", "--motion"], ["--height", "-9"]]
)
def test_run_refuses_what_makes_no_sense_before_the_work(words, dicom, tmp_path, capsys):
    assert main(["run", str(dicom), "-o", str(tmp_path / "o"), "--no-scene", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "o").exists()


INFOS = {
    "ED: 1\nES: 12\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n": Patient(height_m=1.84, weight_kg=95.0),
    "Height: 160\n": Patient(height_m=1.6),
    "Height: unknown\nWeight: 0\n": Patient(),
    "Height: 1.84\nWeight: nan\n": Patient(),
    "no colons": Patient(),
}


@pytest.mark.parametrize("text", INFOS)
def test_info_cfg_beside_an_image(text, made, tmp_path):
    from CardiacLib.writers.images import write_cine

    write_cine(tmp_path / "a.nii.gz", made.cines["sax"])
    (tmp_path / "Info.cfg").write_text(text)
    wanted = INFOS[text]
    assert patient_beside(tmp_path / "a.nii.gz") == wanted
    found = read_image(tmp_path / "a.nii.gz").patient
    assert (found.height_m, found.weight_kg) == (wanted.height_m, wanted.weight_kg)
    assert found.heart_rate_bpm is not None


def test_no_info_and_a_broken_one(made, tmp_path):
    assert patient_beside(tmp_path / "a.nii.gz") == Patient()
    (tmp_path / "Info.cfg").write_bytes(b"\xff\xfe\x00H")
    assert patient_beside(tmp_path / "a.nii.gz") == Patient()


def test_a_trained_copy_claims_no_accuracy(tmp_path):
    for name in ("cineheart_sax", "valve_landmarks", "biv_propagation", "cineheart_lax_landmarks"):
        card = tmp_path / name / "docs" / "README.md"
        card.parent.mkdir(parents=True)
        shutil.copy(bundle_path(name) / "docs" / "README.md", card)
        write_trained_card(card, bundle_path(name))
        text = card.read_text(encoding="utf-8")
        assert "No accuracy is known" in text and "Dice" not in text and "<!-- evaluation -->" not in text
        assert name in text and not any(line.startswith("|") for line in text.splitlines())
