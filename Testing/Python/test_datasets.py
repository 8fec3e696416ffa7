"""Labelled data sets: the same hearts in every layout, partial labels, splits, the check and conversion."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from dicom_factory import oblique_matrix, write_planes

from CardiacLib.datasets.check import check_cases
from CardiacLib.datasets.convert import centred
from CardiacLib.datasets.find import find_cases
from CardiacLib.datasets.hearts import read_hearts, require_complete
from CardiacLib.datasets.layouts.manifest import write_manifest
from CardiacLib.datasets.read import read_case
from CardiacLib.datasets.records import UNKNOWN, CaseRecord
from CardiacLib.datasets.splits import CaseChoice, open_cases, split_of, stratified_folds
from CardiacLib.errors import InputError
from CardiacLib.readers.image import read_image
from CardiacLib.types.cine import Cine
from CardiacLib.types.label_order import in_order
from CardiacLib.writers.images import write_cine, write_values
from CardiacSegLib.evaluate.labelled import evaluate_labelled, labelled_summary
from cineheart.cli import main
from cineheart.commands.networks.slices import make_slices

MATRIX = np.diag([1.5, 1.5, 9.0, 1.0])
TO_ACDC = np.array([0, 3, 2, 1], np.uint8)
PHASES = ("ED", "ES")


@pytest.fixture(scope="module")
def hearts():
    """Subject to images and labels (2, K, J, I) of ED and ES in CineHeart's order; the pool is smaller at ES."""
    from conftest import make_ring_labels

    draw = np.random.default_rng(1)
    found = {}
    for name in ("001", "002", "003"):
        ed = make_ring_labels()
        es = np.where((ed == 1) & (np.hypot(*(np.mgrid[:64, :72] - np.array([32, 44])[:, None, None])) > 5), 2, ed)
        labels = np.stack([ed, es]).astype(np.uint8)
        found[name] = np.rint(60 * labels + draw.uniform(0, 30, labels.shape)).astype(np.float32), labels
    return found


def write(folder, name, image, labels, label_folder=None, end="_gt"):
    """One image, or several frames, and its labels."""
    cine = Cine(image, MATRIX, None if len(image) > 1 else np.zeros(1))
    (label_folder or folder).mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_cine(folder / f"{name}.nii.gz", cine)
    write_values((label_folder or folder) / f"{name}{end}.nii.gz", labels, cine)


def make_acdc(root, hearts):
    for name, (images, labels) in hearts.items():
        folder = root / f"patient{name}"
        for t, number in ((0, 1), (1, 12)):
            write(folder, f"patient{name}_frame{number:02d}", images[[t]], TO_ACDC[labels[[t]]])
        (folder / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: NOR\nHeight: 180\nWeight: 80\n")


def make_mnms(root, hearts):
    for name, (images, labels) in hearts.items():
        write(root / "Training" / "Labeled" / name, f"{name}_sa", images[::-1], labels[::-1])
    rows = "".join(f"0,{name},Philips,B,2,DCM,1,0\n" for name in hearts)
    (root / "info.csv").write_text(",External code,VendorName,Vendor,Centre,Pathology,ED,ES\n" + rows)


def make_mnms2(root, hearts):
    for name, (images, labels) in hearts.items():
        for t, phase in enumerate(PHASES):
            write(root / "dataset" / name, f"{name}_SA_{phase}", images[[t]], labels[[t]])
            write(root / "dataset" / name, f"{name}_LA_{phase}", images[[t], :1], labels[[t], :1])
    rows = "".join(f"{int(name)};LV;GE MEDICAL;Symphony;1.5\n" for name in hearts)
    (root / "dataset_information.csv").write_text("﻿SUBJECT_CODE;DISEASE;VENDOR;SCANNER;FIELD\n" + rows)


def make_nnunet(root, hearts):
    for name, (images, labels) in hearts.items():
        for t in range(2):
            case = f"patient{name}_frame{t + 1:02d}"
            write(root / "imagesTr", f"{case}_0000", images[[t]], labels[[t]], root / "unused")
            write(
                root / "unused", case, images[[t]], np.array([0, 2, 1, 3], np.uint8)[labels[[t]]], root / "labelsTr", ""
            )
    names = {"background": 0, "Myocardium": 1, "LV cavity": 2, "right ventricle": 3}
    (root / "dataset.json").write_text(json.dumps({"labels": names, "file_ending": ".nii.gz"}))


def make_monai(root, hearts):
    items = []
    for name, (images, labels) in hearts.items():
        for t, phase in enumerate(PHASES):
            write(root / "files", f"{name}_{phase}", images[[t]], labels[[t]])
            items.append(
                {"image": f"files/{name}_{phase}.nii.gz", "label": f"files/{name}_{phase}_gt.nii.gz", "fold": 1}
            )
    (root / "list.json").write_text(json.dumps({"training": items, "validation": []}))


def make_pairs(root, hearts):
    for name, (images, labels) in hearts.items():
        for t, phase in enumerate(PHASES):
            write(root / "images", f"{name}_{phase}", images[[t]], labels[[t]], root / "labels", "_seg")


def make_manifest(root, hearts):
    rows = []
    for name, (images, labels) in hearts.items():
        write(root / "files", name, images, labels)
        rows += [f"files/{name}.nii.gz,{name},{phase},{t},{name}" for t, phase in enumerate(PHASES)]
    (root / "manifest.csv").write_text("\n".join(["file,patient,phase,frame,site", *rows]))


def make_npz(root, hearts):
    root.mkdir(exist_ok=True)
    facts = {"images": [], "segs": [], "subject": [], "phase": []}
    for name, (images, labels) in hearts.items():
        for t, k in np.ndindex(labels.shape[:2]):
            for key, value in zip(facts, (images[t, k], labels[t, k], name, PHASES[t]), strict=True):
                facts[key].append(value)
    np.savez(root / "slices.npz", **{key: np.array(value) for key, value in facts.items()})


def make_beside(root, hearts):
    for name, (images, labels) in hearts.items():
        for t, phase in enumerate(PHASES):
            write(root, f"{name}_{phase}", images[[t]], labels[[t]])


LAYOUTS = {
    "ACDC": make_acdc,
    "M&Ms": make_mnms,
    "M&Ms-2": make_mnms2,
    "nnU-Net raw": make_nnunet,
    "MONAI data list": make_monai,
    "images and labels in two folders": make_pairs,
    "CSV manifest": make_manifest,
    "NPZ of slices": make_npz,
    "images with labels beside them": make_beside,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_hearts(layout, hearts, tmp_path):
    LAYOUTS[layout](tmp_path, hearts)
    found = find_cases(tmp_path)
    assert found.layout == layout and not found.problems
    report = check_cases(found)
    assert not report.problems
    cases = [case.record for case in report.cases if case.record.view == "sax"]
    assert [(case.subject.removeprefix("patient"), case.phase) for case in cases] == [
        (name, phase) for name in hearts for phase in PHASES
    ]
    for record in cases:
        images, labels = hearts[record.subject.removeprefix("patient")]
        case, t = read_case(record), PHASES.index(record.phase)
        np.testing.assert_array_equal(case.labels, labels[[t]])
        np.testing.assert_array_equal(case.cine.frames, images[[t]])
    long_axis = [case for case in found.cases if case.view == "4ch"]
    assert len(long_axis) == (6 if layout == "M&Ms-2" else 0)


def test_what_tables_say(hearts, tmp_path):
    make_mnms2(tmp_path / "two", hearts)
    make_mnms(tmp_path / "one", hearts)
    first = find_cases(tmp_path / "two").cases[0]
    assert (first.vendor, first.group) == ("GE MEDICAL", "LV")
    first = find_cases(tmp_path / "one").cases[0]
    assert (first.vendor, first.centre, first.group, first.split) == ("Philips", "2", "DCM", "training")


def test_order_as_a_map():
    values = np.array([0, 1, 2, 5], np.uint8)
    assert in_order(values, "1=MYO, 2=lv,5=RV", "f").tolist() == [0, 2, 1, 3]
    for wrong in ("1=LV,1=RV", "1=LV,2=LV", "0=LV", "1=liver", "a=LV", "1=LV,MYO"):
        with pytest.raises(InputError, match=r"is not known.*1=MYO"):
            in_order(values, wrong, "f")
    with pytest.raises(InputError, match=r"value 5"):
        in_order(values, "1=LV,2=MYO", "f")


def test_partial_labels(hearts, tmp_path):
    images, labels = hearts["001"]
    partial = np.where(labels[[0]] == 1, np.uint8(1), np.uint8(0))
    partial[:, 2] = UNKNOWN
    write(tmp_path, "a", images[[0]], partial)
    (tmp_path / "manifest.csv").write_text('image,classes\na.nii.gz,"1"\n')
    case = read_case(find_cases(tmp_path).cases[0])
    assert case.record.structures == ("lv",) and case.known.tolist() == [[True, True, False, *[True] * 5]]
    np.testing.assert_array_equal(case.labels, partial)
    with pytest.raises(InputError, match="draws lv only"):
        case.labelled()
    # Of complete labels a manifest may also take some only.
    write(tmp_path, "a", images[[0]], labels[[0]])
    np.testing.assert_array_equal(read_case(find_cases(tmp_path).cases[0]).labels, labels[[0]] * (labels[[0]] == 1))


def test_cases_that_do_not_fit(hearts, tmp_path):
    images, labels = hearts["001"]
    make_pairs(tmp_path, hearts)
    write(tmp_path / "images", "lonely_ED", images[[0]], labels[[0]], tmp_path / "x")
    write(tmp_path / "images", "cut_ED", images[[0]], labels[[0]], tmp_path / "x")
    write(tmp_path / "x", "cut_ED", images[[0], 1:], labels[[0], 1:], tmp_path / "labels", "")
    write(tmp_path / "images", "odd_ED", images[[0]], labels[[0]] * 2, tmp_path / "labels", "")
    write(tmp_path / "images", "turned_ED", images[[0]], TO_ACDC[labels[[0]]], tmp_path / "labels", "")
    write(tmp_path / "images", "empty_ED", images[[0]] + 1, labels[[0]] * 0, tmp_path / "labels", "")
    write(tmp_path / "images", "copy_ED", images[[0]], labels[[1]], tmp_path / "labels", "")
    write(tmp_path / "images", "copy_ES", images[[1]], labels[[0]], tmp_path / "labels", "")
    report = check_cases(find_cases(tmp_path))
    fatal = {p.case: p.reason for p in report.problems if p.fatal}
    assert set(fatal) == {"lonely_ED", "cut ED", "odd ED", "turned ED"}
    assert "has no labels" in fatal["lonely_ED"] and "72 x 64 x 7" in fatal["cut ED"]
    assert "value 6" in fatal["odd ED"] and "--label-order acdc" in fatal["turned ED"]
    odd = [f"{p.case}: {p.reason}" for p in report.problems if not p.fatal]
    assert "empty ED: its labels are empty." in odd
    assert "copy ED: its image is also that of 001." in odd
    assert any(text.startswith("copy: its LV has") and "at ES" in text for text in odd)


def test_nothing_labelled(tmp_path, hearts):
    with pytest.raises(InputError, match="no such data"):
        find_cases(tmp_path / "none")
    with pytest.raises(InputError, match="holds no labelled cases; it must be a CSV manifest, ACDC"):
        find_cases(tmp_path)
    make_nnunet(tmp_path, hearts)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"1": "spleen"}}))
    with pytest.raises(InputError, match=r"'spleen'.*--label-order"):
        find_cases(tmp_path)
    assert find_cases(tmp_path, "1=MYO,2=LV,3=RV").cases[0].order == "1=MYO,2=LV,3=RV"


def records(count, **facts):
    groups = ("DCM", "NOR")
    made = (CaseRecord(f"s{n:02d}", "i", "l", group=groups[n % 2]) for n in range(count))
    return [replace(case, **{name: value(n) for name, value in facts.items()}) for n, case in enumerate(made)]


def test_folds_hold_whole_subjects_of_every_group():
    cases = records(20)
    folds = stratified_folds([*cases, *cases])
    assert folds == stratified_folds(reversed(cases)) and set(folds) == {case.subject for case in cases}
    for fold in range(5):
        groups = [case.group for case in cases if folds[case.subject] == fold]
        assert sorted(groups) == ["DCM", "DCM", "NOR", "NOR"]
    with pytest.raises(InputError, match="3 subjects cannot be split into 5 folds"):
        stratified_folds(cases[:3])


def test_what_is_held_out(tmp_path):
    cases = records(10, vendor=lambda n: ("GE", "Philips")[n // 5], fold=lambda n: n % 5)
    splits, how = split_of(cases, CaseChoice(fold=2))
    assert [s for s, split in splits.items() if split == "validation"] == ["s02", "s07"] and "of the data set" in how
    splits, _ = split_of(cases, CaseChoice(hold_out="philips"))
    assert [s for s, split in splits.items() if split == "validation"] == [f"s{n:02d}" for n in range(5, 10)]
    with pytest.raises(InputError, match=r"'canon'; there are ge, philips"):
        split_of(cases, CaseChoice(hold_out="Canon"))
    (tmp_path / "s.csv").write_text("subject,split\ns01,val\ns02,train\nelse,train\n")
    assert split_of(cases, CaseChoice(split_file=str(tmp_path / "s.csv")))[0] == {
        "s01": "validation",
        "s02": "training",
    }
    (tmp_path / "s.json").write_text('{"train": ["s01"], "test": ["s01"]}')
    with pytest.raises(InputError, match="s01 is in training and in test"):
        split_of(cases, CaseChoice(split_file=str(tmp_path / "s.json")))
    stated = records(4, split=lambda n: ("training", "validation")[n // 2])
    assert set(split_of(stated, CaseChoice())[0].values()) == {"training", "validation"}
    with pytest.raises(InputError, match=r"s00: is in training and in test"):
        split_of([*stated, replace(stated[0], split="test")], CaseChoice())
    assert set(split_of(records(3, split=lambda n: "test"), CaseChoice())[0].values()) == {"test"}


def test_acdc_keeps_its_validation_patients(hearts, tmp_path):
    make_acdc(tmp_path, {"004": hearts["001"], "005": hearts["002"]})
    split = open_cases(tmp_path)
    assert {case.subject for case in split.validation} == {"patient005"}
    assert {case.subject for case in split.training} == {"patient004"}
    with pytest.raises(InputError, match="no cases of the view 4ch, only of sax"):
        open_cases(tmp_path, CaseChoice(view="4ch"))


def test_patients_none_of_whom_is_held_out(hearts, tmp_path, capsys):
    make_acdc(tmp_path / "acdc", {"004": hearts["001"]})
    assert main(["evaluate", "cineheart_sax", "--data", str(tmp_path / "acdc"), "-o", str(tmp_path / "e")]) == 2
    assert "no case is left to evaluate; --every takes all of them." in capsys.readouterr().err


def test_check_and_convert_commands(hearts, tmp_path, capsys):
    make_acdc(tmp_path / "acdc", hearts)
    assert main(["data", "check", str(tmp_path / "acdc"), "-o", str(tmp_path / "cases.csv"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["layout"], facts["cases"], facts["subjects"], facts["left_out"]) == ("ACDC", 6, 3, 0)
    assert facts["phase"] == {"ED": 3, "ES": 3} and facts["group"] == {"NOR": 6}
    with open(tmp_path / "cases.csv", newline="") as stream:
        assert next(csv.DictReader(stream))["image"] == "acdc/patient001/patient001_frame01.nii.gz"
    for form, again in (("npz", "npz/slices.npz"), ("pairs", "pairs")):
        arguments = ["data", "convert", str(tmp_path / "cases.csv"), "-o", str(tmp_path / form), "--to", form]
        assert main(arguments) == 0
        cases = find_cases(tmp_path / again).cases
        assert len(cases) == 6
        for record in cases:
            labels = hearts[record.subject.removeprefix("patient")][1]
            case, t = read_case(record), PHASES.index(record.phase)
            side = 72 if form == "npz" else None
            true = np.stack([centred(section, side) for section in labels[t]]) if side else labels[t]
            np.testing.assert_array_equal(case.labels[0], true)
            assert case.record.group == "NOR" and case.cine.spacing.tolist() == [1.5, 1.5, 9.0]
    assert main(["data", "check", str(tmp_path / "nowhere")]) == 2


def test_manifest_of_parts_of_an_archive(hearts, tmp_path):
    make_npz(tmp_path, hearts)
    cases = find_cases(tmp_path).cases
    write_manifest(tmp_path / "cases.csv", cases)
    assert find_cases(tmp_path / "cases.csv").cases == tuple(cases)


def test_a_centred_slice():
    section = np.arange(1, 13).reshape(3, 4)
    assert centred(section, 2).tolist() == [[2, 3], [6, 7]]
    assert centred(section, 6)[1:4, 1:5].tolist() == section.tolist() and centred(section, 6).sum() == section.sum()


SQUARE = np.array([[10.0, 12.0], [20.0, 12.0], [20.0, 22.0], [10.0, 22.0]])
"""Columns 10 to 20 and rows 12 to 22."""
OUTER = np.array([[6.0, 8.0], [24.0, 8.0], [24.0, 26.0], [6.0, 26.0]])


def drawn_section(shape):
    section = np.zeros(shape, np.uint8)
    section[8:27, 6:25], section[12:23, 10:21] = 2, 1
    return section


def test_polygon_files(tmp_path):
    folder = tmp_path / "contours" / "a_ED"
    folder.mkdir(parents=True)
    np.savetxt(folder / "a_slice01_icontour.txt", SQUARE)
    np.savetxt(folder / "a_slice01_ocontour.txt", OUTER)
    np.savetxt(folder / "a_slice01_p1contour.txt", OUTER)
    np.savetxt(folder / "a_slice02_icontour.txt", SQUARE)
    image = np.random.default_rng(0).uniform(size=(1, 4, 40, 32)).astype(np.float32)
    write(tmp_path / "images", "a_ED", image, np.zeros(image.shape, np.uint8), tmp_path / "x")
    (record,) = find_cases(tmp_path).cases
    case = read_case(record)
    assert case.record.structures == ("lv", "myo") and case.record.phase == "ED"
    # Slice 2 lacks the epicardium that slice 1 has, and nobody drew in 0 and 3.
    assert case.known.tolist() == [[False, True, False, False]]
    np.testing.assert_array_equal(case.labels[0, 1], drawn_section((40, 32)))
    np.savetxt(folder / "a_slice09_icontour.txt", SQUARE)
    with pytest.raises(InputError, match="names no image"):
        read_case(record)


def workspace(contours):
    """A cvi42 workspace of {uid: {name: points}}."""
    images = []
    for uid, drawn in contours.items():
        items = []
        for name, points in drawn.items():
            listed = "".join(f"<List:item><Point:x>{x}</Point:x><Point:y>{y}</Point:y></List:item>" for x, y in points)
            items.append(
                f'<Hash:item Hash:key="{name}"><Hash:item Hash:key="Points">{listed}</Hash:item>'
                '<Hash:item Hash:key="SubpixelResolution">4</Hash:item></Hash:item>'
            )
        images.append(
            f'<Hash:item Hash:key="{uid}"><Hash:item Hash:key="Contours">{"".join(items)}</Hash:item></Hash:item>'
        )
    return f'<?xml version="1.0"?><W><Hash:item Hash:key="ImageStates">{"".join(images)}</Hash:item></W>'


def test_cvi42_workspace(tmp_path):
    import pydicom

    image = np.random.default_rng(0).integers(0, 999, (2, 3, 40, 32))
    write_planes(tmp_path / "dicom", image, oblique_matrix(), [0.0, 300.0])
    cine = read_image(tmp_path / "dicom")
    uid = pydicom.dcmread(cine.files[1][2][0]).SOPInstanceUID
    drawn = {"saendocardialContour": 4 * SQUARE, "saepicardialContour": 4 * OUTER, "saReferencePoint": 4 * SQUARE[:1]}
    path = tmp_path / "a.cvi42wsx"
    path.write_text(workspace({uid: drawn, "1.2.3": drawn}))
    (tmp_path / "manifest.csv").write_text("image,label,phase,frame\ndicom,a.cvi42wsx,ES,1\n")
    (record,) = find_cases(tmp_path).cases
    case = read_case(record)
    assert case.known.tolist() == [[False, False, True]] and case.record.structures == ("lv", "myo")
    np.testing.assert_array_equal(case.labels[0, 2], drawn_section((40, 32)))
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]>' + workspace({})[21:])
    with pytest.raises(InputError, match="XML entities"):
        read_case(record)
    path.write_text(workspace({"1.2.3": drawn}))
    with pytest.raises(InputError, match="no contour of a ventricle on the images"):
        read_case(record)


def test_frames_of_one_heart_come_together(hearts, tmp_path):
    make_nnunet(tmp_path, hearts)
    found = list(read_hearts(find_cases(tmp_path).cases))
    assert [(heart.record.subject, heart.phases) for heart in found] == [
        (f"patient{name}", ("ED", "ES")) for name in hearts
    ]
    assert found[0].opposite.tolist() == [1, 0] and found[0].drawn.all()
    np.testing.assert_array_equal(found[0].labels, hearts["001"][1])
    (heart, *_) = read_hearts(find_cases(tmp_path).cases, unlabelled=True)
    assert (heart.labels == UNKNOWN).all() and not heart.drawn.any()
    with pytest.raises(InputError, match="draws nothing only"):
        list(require_complete([heart]))


def test_only_what_is_drawn_and_known_is_judged(hearts, tmp_path):
    images, labels = hearts["001"]
    partial = np.where(labels == 1, np.uint8(1), np.uint8(0))
    partial[:, 3] = UNKNOWN
    for t, phase in enumerate(PHASES):
        write(tmp_path, f"a_{phase}", images[[t]], partial[[t]])
    (tmp_path / "manifest.csv").write_text(
        "image,subject,phase,classes,site\na_ED.nii.gz,a,ED,1,X\na_ES.nii.gz,a,ES,1,Y\n"
    )
    found = labels.copy()
    found[:, 3] = 1  # nobody knows what is there
    found[1, 0] = 0
    (result,) = evaluate_labelled(find_cases(tmp_path).cases, lambda cine: found)
    ed, es = result.rows
    assert (ed.phase, ed.structure, ed.dice, ed.hausdorff_mm) == ("ED", "LV", 1.0, 0.0)
    assert ed.true_volume_ml == pytest.approx((labels[0] == 1).sum() * 0.02025 - (labels[0, 3] == 1).sum() * 0.02025)
    assert es.dice == es.f1 < 1.0 and es.precision == 1.0 and es.iou == pytest.approx(es.dice / (2 - es.dice))
    assert es.hausdorff_mm == pytest.approx(9.0 * es.hausdorff_voxels) and es.hausdorff_voxels == 1.0
    summary = labelled_summary([result])
    assert [row["value"] for row in summary["tables"]["centre"]] == ["X", "Y"]
    assert summary["ejection_fraction"]["LV EF"]["bias"] > 0 and "RV EF" not in summary["ejection_fraction"]


def test_slices_for_networks_of_slices(hearts, tmp_path):
    make_acdc(tmp_path / "acdc", {"004": hearts["001"], "005": hearts["002"]})
    made = make_slices(tmp_path / "acdc", CaseChoice(), tmp_path / "out")
    with np.load(made.file) as archive:
        names, labels = archive["subject"], archive["segs"]
    assert set(names[made.parts[0]]) == {"patient004"} and set(names[made.parts[1]]) == {"patient005"}
    assert labels.shape == (32, 256, 256) and sum(map(len, made.parts)) == 32
    (tmp_path / "cases.csv").write_text("image,classes\nacdc/patient004/patient004_frame01.nii.gz,1\n")
    with pytest.raises(InputError, match="cannot be split into 5 folds"):
        make_slices(tmp_path / "cases.csv", CaseChoice(), tmp_path / "out")
