"""Headers as hospitals and anonymisers leave them: forbidden values in DICOM SEG, names that break XML and files."""

import xml.dom.minidom
import zipfile

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from CardiacLib.errors import InputError
from CardiacLib.mrml.panel.studies import study_name
from CardiacLib.phantom import PhantomOptions, make_phantom, write_phantom
from CardiacLib.readers import read_study
from CardiacLib.readers.cases import case_folders, read_one_image, read_one_study
from CardiacLib.types.patient import Patient
from CardiacLib.types.study import Study
from CardiacLib.writers.dicom_seg import require_dicom_seg, write_dicom_seg
from CardiacLib.writers.dicom_values import is_permitted, permitted_copy
from CardiacLib.writers.images import write_cine

FORBIDDEN = {
    "PatientBirthDate": "unknown", "StudyDate": "20230231", "StudyTime": "noon", "PatientSex": "male",
    "PatientAge": "forty", "StudyID": "x" * 40, "AccessionNumber": "y" * 30,
}  # fmt: skip


@pytest.fixture(scope="module")
def made():
    return make_phantom(PhantomOptions.small())


@pytest.fixture(scope="module")
def dicom(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dicom")
    write_phantom(made, folder, dicom=True)
    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pydicom.config.settings, "_writing_validation_mode", pydicom.config.IGNORE)
            for name, text in FORBIDDEN.items():
                setattr(dataset, name, text)
            dataset.save_as(path)
    return folder


@pytest.mark.slow
def test_forbidden_values_are_blank_and_the_labels_are_written(dicom, tmp_path):
    pytest.importorskip("highdicom")
    cine = read_study(dicom).cines["sax"]
    labels = make_phantom(PhantomOptions.small()).labels.only([0])
    labels = type(labels)(labels.labels, cine.ijk_to_lps, labels.times_ms)
    if labels.labels.shape[1:] != cine.frames.shape[1:]:
        pytest.skip("the phantom's labels lie on another grid")
    (path,) = write_dicom_seg(tmp_path, labels, cine, [0])
    written = pydicom.dcmread(path)
    assert {name: str(written.get(name) or "") for name in FORBIDDEN} == dict.fromkeys(FORBIDDEN, "")
    assert written.PatientID and written.StudyInstanceUID == pydicom.dcmread(cine.files[0][0][0]).StudyInstanceUID


def test_an_identity_that_is_no_uid_is_said_first(dicom, tmp_path):
    pytest.importorskip("highdicom")
    folder = tmp_path / "d"
    for path in dicom.rglob("*.dcm"):
        target = folder / path.relative_to(dicom)
        target.parent.mkdir(parents=True, exist_ok=True)
        dataset = pydicom.dcmread(path)
        dataset.add(pydicom.DataElement("StudyInstanceUID", "UI", "removed", pydicom.config.IGNORE))
        dataset.save_as(target)
    with pytest.raises(InputError, match="StudyInstanceUID 'removed' is no UID"):
        require_dicom_seg(read_study(folder).cines["sax"])


def raw(keyword: str, vr: str, value: bytes):
    tag = Tag(keyword)
    return tag, RawDataElement(tag, vr, len(value), value, 0, False, True)


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("PatientWeight", "DS", b"heavy "), ("PatientSize", "DS", b"1,80"), ("InstanceNumber", "IS", b"one "),
        ("PatientBirthDate", "DA", b"1.1.70"), ("StudyTime", "TM", b"256199"), ("PatientSex", "CS", b"w "),
        ("AcquisitionDateTime", "DT", b"yesterday "), ("PatientAge", "AS", b"41  "), ("PatientID", "LO", b"x" * 80),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_any_forbidden_value_is_left_blank(keyword, vr, value):
    dataset, inner = Dataset(), Dataset()
    for each in (dataset, inner):
        tag, element = raw(keyword, vr, value)
        each._dict[tag] = element
        each.StudyDescription = "cine"
    dataset.OtherPatientIDsSequence = [inner]
    found = permitted_copy(dataset)
    for each in (found, found.OtherPatientIDsSequence[0]):
        assert each[keyword].is_empty and each.StudyDescription == "cine"


def test_permitted_values_stay():
    dataset = Dataset()
    dataset.PatientBirthDate, dataset.StudyTime, dataset.PatientSex, dataset.PatientAge = (
        "19700101",
        "123015.5",
        "F",
        "041Y",
    )
    dataset.PatientName, dataset.PatientWeight, dataset.ImageType = "A^B", "70.5", ["ORIGINAL", "PRIMARY"]
    assert permitted_copy(dataset) == dataset and all(is_permitted(element) for element in dataset)


NAMES = ["A&B-01", "01 <study>", "a/../b", "x\x01y", "'q' \"p\"", "Ünal & Søn", "a;b|c:d*?"]


@pytest.mark.parametrize("name", NAMES)
def test_a_scene_of_any_name_is_well_formed(name, tmp_path):
    slicer = pytest.importorskip("slicer")
    from CardiacLib.mrml.nodes import hierarchy
    from CardiacLib.mrml.nodes.host import private_scene
    from CardiacLib.mrml.nodes.scenes import load_scene, save_scene

    short = study_name(Study({}, patient=Patient(name=name, id=name)))
    assert not set(short) & set("&<>\"'/\\:*?|\x01")
    with private_scene():
        item = hierarchy.add_study(name, name)
        for text in (f"{short} table", f"{name} as it is"):  # the second as a user may have called it
            hierarchy.place(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", text), item)
        save_scene(tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as archive:
        (scene,) = (file for file in archive.namelist() if file.endswith(".mrml"))
        xml.dom.minidom.parseString(archive.read(scene))
    with private_scene():
        load_scene(tmp_path / "scene.mrb")
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 2


@pytest.fixture
def cases(made, tmp_path):
    for name in ("anna", "ben", "carl"):
        (tmp_path / "cases" / name).mkdir(parents=True)
        write_cine(tmp_path / "cases" / name / "cine.nii.gz", made.cines["sax"])
    return tmp_path / "cases"


def test_a_folder_of_cases_is_told(cases, tmp_path):
    assert [case.name for case in case_folders(cases)] == ["anna", "ben", "carl"]
    for read in (read_one_study, read_one_image):
        with pytest.raises(InputError, match=r"holds 3 cases \(anna, ben, carl\).*cineheart run .*anna -o DIR"):
            read(cases)
    acdc = tmp_path / "acdc"
    for name in ("patient001", "patient002"):
        (acdc / name).mkdir(parents=True)
        (acdc / name / "Info.cfg").write_text("ED: 1\n")
    assert len(case_folders(acdc)) == 2


def test_dicom_folders_of_several_patients_are_cases(tmp_path):
    for name, patient in (("a", "1"), ("b", "2"), ("c", "2")):
        (tmp_path / name / "deep").mkdir(parents=True)
        dataset = Dataset()
        dataset.PatientID, dataset.SOPClassUID, dataset.SOPInstanceUID = patient, "1.2.840.10008.5.1.4.1.1.4", "1.2.3"
        path = tmp_path / name / "deep" / "x"
        dataset.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=False)
        path.write_bytes(b"\0" * 128 + b"DICM" + path.read_bytes())
    assert len(case_folders(tmp_path)) == 3
    for path in (tmp_path / "a", tmp_path / "a" / "deep" / "x"):
        assert case_folders(path) == []


def test_one_study_in_folders_of_views_is_no_folder_of_cases(made, tmp_path):
    for view, cine in made.cines.items():
        (tmp_path / view).mkdir()
        write_cine(tmp_path / view / "cine.nii.gz", cine)
    (tmp_path / "repeated_sax").mkdir()
    write_cine(tmp_path / "repeated_sax" / "cine.nii.gz", made.cines["sax"])
    assert case_folders(tmp_path) == [] and "sax" in read_one_study(tmp_path).cines


@pytest.mark.slow
def test_what_another_command_takes_is_said(made, tmp_path):
    write_phantom(made, tmp_path / "study", dicom=True)
    with pytest.raises(InputError, match=r"'cineheart run .*study -o DIR' the folder of a study"):
        read_one_image(tmp_path / "study")
    file = next((tmp_path / "study").rglob("*.dcm"))
    with pytest.raises(InputError, match=r"takes the folder of a study, 'cineheart segment .* -o DIR' one image"):
        read_one_study(file)
    write_cine(tmp_path / "labels.nii.gz", made.cines["sax"])
    with pytest.raises(InputError, match=r"'cineheart mesh .*labels.nii.gz -o DIR' takes labels"):
        read_one_study(tmp_path / "labels.nii.gz")
    write_cine(tmp_path / "sax.nii.gz", made.cines["sax"])
    assert read_one_study(tmp_path / "sax.nii.gz").cines["sax"].n_frames == made.cines["sax"].n_frames
