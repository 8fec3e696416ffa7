"""The DICOM report: read back it holds what was measured, by codes of the standard, and names images and segments."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_factory import oblique_matrix, write_enhanced

from CardiacLib.errors import InputError
from CardiacLib.phantom.dicom import write_dicom
from CardiacLib.readers import read_image, read_study
from CardiacLib.types.choices import Body, ByHand, SegmentChoice
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.measures.marks import Mark
from CardiacLib.types.measures.ranges import NormalRange, NormalRanges
from CardiacLib.types.segmentation import Segmentation
from CardiacLib.writers.dicom_quantities import NORMAL_LIMITS, NORMALITY, OWN_SCHEME, PHASE_NAME, PHASES, QUANTITIES
from CardiacLib.writers.dicom_seg import write_dicom_seg
from CardiacLib.writers.dicom_sr import ReportedMeasures, require_dicom_sr, write_dicom_sr
from CardiacSegLib.reference import normal_ranges
from cineheart import steps
from cineheart.cli import main
from cineheart.measures.dicom_report import labels_report

hd = pytest.importorskip("highdicom")


@pytest.fixture(scope="module")
def study(little_heart, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dicom")
    write_dicom(little_heart, folder)
    return read_study(folder)


@pytest.fixture(scope="module")
def found(little_heart, study):
    """The measures of the true labels on the grid of the DICOM stack."""
    sax, truth = study.cines["sax"], little_heart.labels
    flipped = truth.ijk_to_lps[:3, 2] @ sax.ijk_to_lps[:3, 2] < 0
    array = np.ascontiguousarray(truth.labels[:, ::-1] if flipped else truth.labels)
    return steps.measure_labels(Segmentation(LabelMap(array, sax.ijk_to_lps, sax.times_ms), None), cine=sax)


@pytest.fixture(scope="module")
def written(study, found, tmp_path_factory):
    """The report of a network's labels with segmentations and long-axis views, and what it should say."""
    folder, sax = tmp_path_factory.mktemp("report"), study.cines["sax"]
    segmentations = dict(enumerate(write_dicom_seg(folder, found.segmentation.labels, sax, bundle="cineheart_sax")))
    measures = labels_report(found, ByHand(es_frame=found.function.es), "cineheart_sax")
    marks = {**found.marks, "rv_edv_ml": Mark("amber", ("Café: the base.",), 7.25)}
    measures = replace(
        measures,
        values={**measures.values, "mapse_mm": 12.5, "tapse_mm": None},
        marks=marks,
        ranges=normal_ranges(SegmentChoice(body=Body(sex="M", age_years=52))),
        points_bundle="cineheart_lax_landmarks",
    )
    views = [cine for view, cine in study.cines.items() if view != "sax"]
    path = write_dicom_sr(folder / "m.dcm", measures, sax, segmentations=segmentations, long_axis=views)
    return path, measures, segmentations


def numbers(dataset) -> dict[tuple[str, str], tuple[float, str]]:
    """Value and unit of every measurement, by scheme and code, read by pydicom alone; not what is said of each."""
    told = {}
    for item in dataset.get("ContentSequence", []):
        if item.ValueType == "NUM":
            name, value = item.ConceptNameCodeSequence[0], item.MeasuredValueSequence[0]
            key = name.CodingSchemeDesignator, name.CodeValue
            assert key not in told
            told[key] = float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue
        else:
            told |= numbers(item)
    return told


def said_of(measurement) -> dict[str, object]:
    """What a report says of one measurement, by the code of what it is: numbers with their unit, codes, texts."""
    said = {}
    for item in measurement.get("ContentSequence", []):
        assert item.RelationshipType == "HAS PROPERTIES"
        if item.ValueType == "NUM":
            (number,) = item.MeasuredValueSequence
            value = float(number.NumericValue), number.MeasurementUnitsCodeSequence[0].CodeValue
        else:
            value = item.TextValue if item.ValueType == "TEXT" else item.ConceptCodeSequence[0].CodeValue
        said[item.ConceptNameCodeSequence[0].CodeValue] = value
    return said


def phases_of(group) -> list[tuple[str, str]]:
    """Code and scheme of the phases that a group claims."""
    items = [item for item in group[0].ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == PHASE_NAME.value]
    codes = [item.ConceptCodeSequence[0] for item in items]
    return [(code.CodeValue, code.CodingSchemeDesignator) for code in codes]


@pytest.mark.slow
def test_every_measurement_comes_back_with_its_unit(written):
    path, measures, _ = written
    told = numbers(pydicom.dcmread(path))
    known = [q for q in QUANTITIES if measures.values.get(q.key) is not None]
    assert len(told) == len(known) == 13  # all but TAPSE
    for quantity in known:
        value, unit = told[quantity.name.scheme, quantity.name.value]
        assert value == pytest.approx(measures.values[quantity.key], rel=1e-9) and unit == quantity.unit.value


def test_codes_are_those_of_the_standard():
    """pydicom carries the codes of DICOM PS3.16."""
    from pydicom.sr._concepts_dict import concepts

    def meanings(scheme, value):
        return {known[value][0] for known in concepts[scheme].values() if value in known}

    for quantity in QUANTITIES:
        for concept in (quantity.name, quantity.site):
            if concept.scheme == OWN_SCHEME:
                assert len(concept.value) <= 16 and len(concept.meaning) <= 64
            else:
                assert concept.meaning in meanings(concept.scheme, concept.value), concept
    for concept in (*PHASES.values(), *NORMAL_LIMITS):
        assert concept.meaning in meanings(concept.scheme, concept.value)


def test_groups_name_phase_frame_network_segment_and_images(study, written):
    path, measures, segmentations = written
    report = hd.sr.srread(path)
    assert isinstance(report, hd.sr.ComprehensiveSR) and report.CompletionFlag == "COMPLETE"
    volumes = {group.tracking_identifier: group for group in report.content.get_volumetric_roi_measurement_groups()}
    assert list(volumes) == [
        "Left ventricle at end-diastole", "Left ventricle at end-systole", "Left Ventricle Myocardium at end-diastole",
        "Right ventricle at end-diastole", "Right ventricle at end-systole",
    ]  # fmt: skip
    sax = study.cines["sax"]
    for name, frame, segment in (
        ("Left ventricle at end-systole", measures.es, 1), ("Right ventricle at end-diastole", measures.ed, 3),
    ):  # fmt: skip
        group = volumes[name]
        dataset = pydicom.dcmread(segmentations[frame], stop_before_pixels=True)
        named = group.referenced_segment
        assert named.referenced_sop_instance_uid == dataset.SOPInstanceUID
        assert list(named.referenced_segment_numbers) == [segment]
        (phase,) = phases_of(group)
        assert phase == PHASES["es" if frame == measures.es else "ed"][:2]
        texts = [item.TextValue for item in group[0].ContentSequence if item.ValueType == "TEXT"]
        assert f"Frame {frame + 1} of {sax.n_frames}, {sax.times_ms[frame]:.0f} ms" in texts
        assert "cineheart_sax" in texts and any("End-systole" in text or "ES" in text for text in texts)
    others = report.content.get_image_measurement_groups()
    assert [group.tracking_identifier for group in others] == [
        "Left ventricle", "Right ventricle", "Heart", "Mitral Annulus",
    ]  # fmt: skip
    texts = [item.TextValue for item in others[3][0].ContentSequence if item.ValueType == "TEXT"]
    assert "cineheart_lax_landmarks" in texts
    images = {image.referenced_sop_instance_uid for image in others[3].source_images}
    lax = {pydicom.dcmread(row[0][0]).SOPInstanceUID for row in study.cines["2ch"].files}
    assert lax <= images


def test_a_weak_measurement_says_why(written):
    report = hd.sr.srread(written[0])
    (group,) = report.content.get_volumetric_roi_measurement_groups(tracking_uid=None, finding_site=None)[3:4]
    (measurement,) = group.get_measurements()
    comment = said_of(measurement[0])["121106"]
    assert comment == "Amber: check before use. Café: the base. One standard deviation: 7.2 ml."


def test_a_measurement_names_its_normal_range_and_where_it_lies(study, written, tmp_path):
    """TID 310 and 312 below the number, as highdicom reads them; nothing where no range fits."""
    path, measures, _ = written
    groups = hd.sr.srread(path).content.get_volumetric_roi_measurement_groups()
    (edv,) = (g.get_measurements()[0] for g in groups if g.tracking_identifier == "Left ventricle at end-diastole")
    said, position = said_of(edv[0]), measures.ranges.position("lv_edv_ml", measures.values["lv_edv_ml"])
    assert (said["385524004"], said["371933006"]) == ((109.0, "ml"), (227.0, "ml"))
    assert (
        said["121402"] == NORMALITY[position].value and said["121407"] == "healthy White adults, men of 50 to 59 years"
    )
    assert "Raisi-Estabragh et al., JACC Cardiovasc Imaging 2024" in said["121408"]
    limits = {"lv_mass_g": NormalRange(None, 80.5, 1)}
    found = ReportedMeasures(values={"lv_mass_g": 99.0, "rv_edv_ml": 120.0}, ranges=NormalRanges(limits=limits), ed=0)
    report = hd.sr.srread(write_dicom_sr(tmp_path / "m.dcm", found, study.cines["sax"]))
    mass, rv = (said_of(g.get_measurements()[0][0]) for g in report.content.get_image_measurement_groups())
    assert mass == {"121402": NORMALITY["above"].value, "371933006": (80.5, "g")} and rv == {}


def test_identity_is_that_of_the_study(study, written):
    path, _, segmentations = written
    report, image = pydicom.dcmread(path), pydicom.dcmread(study.cines["sax"].files[0][0][0], stop_before_pixels=True)
    for name in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "PatientSex"):
        assert report[name].value == image[name].value
    assert report.Modality == "SR" and report.SeriesInstanceUID != image.SeriesInstanceUID
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == OWN_SCHEME
    named = {
        item.ReferencedSOPInstanceUID
        for series in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert pydicom.dcmread(segmentations[written[1].ed]).SOPInstanceUID in named and image.SOPInstanceUID in named


def test_frames_of_a_multi_frame_file_are_named(tmp_path):
    frames = np.random.default_rng(0).integers(0, 200, (3, 4, 24, 20)).astype(np.uint16)
    path = write_enhanced(tmp_path / "in", frames, oblique_matrix(), [0, 300, 600])
    dataset = pydicom.dcmread(path)
    dataset.StudyInstanceUID, dataset.FrameOfReferenceUID, dataset.StudyDate = "1.2.3", "1.2.4", "20240102"
    dataset.save_as(path)
    measures = ReportedMeasures(values={"lv_edv_ml": 101.5}, ed=1, es=2)
    report = hd.sr.srread(write_dicom_sr(tmp_path / "m.dcm", measures, read_image(path)))
    (group,) = report.content.get_image_measurement_groups()
    (image,) = group.source_images
    assert list(image.referenced_frame_numbers) == [5, 6, 7, 8]


def test_one_frame_of_unknown_phase_claims_none(study, tmp_path):
    sax = study.cines["sax"].only([1])
    measures = ReportedMeasures(values={"lv_mass_g": 99.0}, marks={"lv_mass_g": Mark("red", ("Cut off.",))})
    report = hd.sr.srread(write_dicom_sr(tmp_path / "m.dcm", measures, sax))
    (group,) = report.content.get_image_measurement_groups()
    assert not phases_of(group)
    images = {image.referenced_sop_instance_uid for image in group.source_images}
    assert images == {pydicom.dcmread(file[0]).SOPInstanceUID for file in sax.files[0]}


def test_what_cannot_be_reported_is_one_sentence(study, little_heart, tmp_path):
    with pytest.raises(InputError, match="a DICOM report needs the DICOM files"):
        require_dicom_sr(little_heart.cines["sax"])
    with pytest.raises(InputError, match="nothing was measured"):
        write_dicom_sr(tmp_path / "m.dcm", ReportedMeasures(values={"lv_edv_ml": None}), study.cines["sax"])
    assert not list(tmp_path.iterdir())


def test_a_report_cannot_be_anonymous(study, tmp_path, capsys):
    words = ["run", str(study.source), "-o", str(tmp_path / "o"), "--no-scene", "--anonymise", "--dicom-sr"]
    assert main(words) == 2 and "--dicom-sr writes the patient's name" in capsys.readouterr().err
