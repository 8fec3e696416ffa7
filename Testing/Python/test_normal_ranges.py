"""Normal ranges by sex and age: the shipped table, a user's own, whom they fit, and where they are shown."""

import csv
import itertools
from dataclasses import replace

import pytest
from made_study import make_result

from CardiacLib.errors import InputError
from CardiacLib.types.choices import Body, SegmentChoice
from CardiacLib.types.measures.marks import Mark
from CardiacLib.types.measures.ranges import NormalRange, NormalRanges, ReferenceRow
from CardiacLib.types.patient import Patient
from CardiacSegLib.reference import normal_ranges, read_reference_ranges, shipped_reference_ranges
from CardiacSegLib.reference.table import COLUMNS, unit_of
from cineheart.cli import main
from cineheart.cohort.page import write_page
from cineheart.cohort.studies import find_studies
from cineheart.outputs import summary_row, write_measurements
from cineheart.report import facts

LINE = {
    "measure": "lv_ef_percent", "unit": "%", "sex": "F", "age_from": "18", "age_to": "40", "mean": "61.0", "sd": "5.0",
    "papillary": "cavity", "population": "nurses", "source": "This test.",
}  # fmt: skip
MAN = SegmentChoice(body=Body(sex="M", age_years=52))


def write(path, *lines):
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    return path


def middle(rows: dict[str, ReferenceRow], key: str) -> float:
    limits = rows[key].limits
    return (limits.lower + limits.upper) / 2


def test_the_shipped_table_is_whole_and_agrees_with_itself():
    """Stroke volume, EF and indices of the middles of the limits; every age from 18 to 83 once."""
    table = shipped_reference_ranges()
    assert len(table) == 2 * 6 * 18 and {row.papillary for row in table} == {"cavity"}
    for sex in ("male", "female"):
        bands = sorted({(row.age_from, row.age_to) for row in table if row.sex == sex})
        assert bands[0][0] == 18 and bands[-1][1] == 83
        assert all(one[1] + 1 == other[0] for one, other in itertools.pairwise(bands))
        for first, _ in bands:
            rows = {row.measure: row for row in table if row.sex == sex and row.age_from == first}
            assert len(rows) == 18
            for side in ("lv", "rv"):
                edv, esv, sv = (middle(rows, f"{side}_{name}_ml") for name in ("edv", "esv", "sv"))
                assert edv - esv == pytest.approx(sv, abs=1.01)
                assert 100 * sv / edv == pytest.approx(middle(rows, f"{side}_ef_percent"), abs=1.0)
                for name in ("edv", "esv", "sv"):
                    area = middle(rows, f"{side}_{name}_ml") / middle(rows, f"{side}_{name}_index_ml_per_m2")
                    assert 1.7 < area < 2.2
    limits = [next(r for r in table if r.measure == "lv_edv_ml" and r.age_from == f).limits.upper for f, _ in bands]
    assert limits == sorted(limits, reverse=True)


def test_limits_are_within_and_rounded_as_they_were_published():
    limits = NormalRange(54.0, 109.0)
    assert [limits.position(v) for v in (53.4, 53.6, 109.4, 109.6)] == ["below", "within", "within", "above"]
    assert [str(NormalRange(*given)) for given in ((54, 109), (47, None), (None, 7.5, 1))] == [
        "54 to 109", "at least 47", "at most 7.5",
    ]  # fmt: skip
    assert NormalRange(47, None).position(99) == "within" and NormalRange(None, 7.5, 1).position(7.6) == "above"


@pytest.fixture(scope="module")
def result():
    return make_result()


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        (SegmentChoice(species="mouse", body=MAN.body), "none for a mouse"),
        (SegmentChoice(species="rat", body=MAN.body, reference=shipped_reference_ranges()), "none for a rat"),
        (SegmentChoice(), "sex and age are not known"),
        (SegmentChoice(body=Body(sex="O", age_years=52)), "patient's sex is not known"),
        (SegmentChoice(body=Body(sex="F")), "patient's age is not known"),
        (SegmentChoice(body=Body(sex="F", age_years=12)), "none for a woman of 12 years"),
        (SegmentChoice(body=Body(sex="M", age_years=84)), "none for a man of 84 years"),
        (replace(MAN, papillary="myocardium"), "papillary muscles as cavity, these measurements as myocardium"),
    ],
)
def test_who_has_no_range_is_told_why(choice, problem):
    found = normal_ranges(choice)
    assert not found.limits and problem in found.problem and found.problem.count(".") == 1


def test_age_as_dicom_writes_it():
    ages = {"055Y": 55, "018M": 1, "030W": 0, "400D": 1, "61": 61, "61.0": 61, "": None, "ANON": None, None: None}
    assert {age: Patient(age=age).age_years for age in ages} == ages
    assert Body.of(Patient(sex="F", age="061Y")) == Body(sex="F", age_years=61)


def test_a_table_of_ones_own(tmp_path):
    rows = read_reference_ranges(write(tmp_path / "own.csv", LINE, LINE | {"age_from": "41", "age_to": "50"}))
    found = normal_ranges(SegmentChoice(body=Body(sex="female", age_years=40), reference=rows))
    assert found.limits == {"lv_ef_percent": NormalRange(51.2, 70.8, 1)} and found.sources == ("This test.",)
    assert found.group == "nurses, women of 18 to 40 years"
    assert unit_of("lv_cardiac_index_l_per_min_per_m2") == "l/min/m2" and unit_of("lv_sphericity_ed") == ""


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([LINE | {"measure": "ef"}], "line 2: there is no measurement 'ef'"),
        ([LINE | {"unit": "ml"}], "lv_ef_percent is in '%', not in 'ml'"),
        ([LINE | {"sex": "both"}], "the sex 'both' is neither"),
        ([LINE | {"age_to": "70+"}], "the age '70\\+' is no whole number"),
        ([LINE | {"age_to": "17"}], "ages from 18 to 17"),
        ([LINE | {"sd": ""}], "give lower and upper, or mean and a positive sd"),
        ([LINE | {"lower": "70", "upper": "51"}], "lower limit 70 is not below"),
        ([LINE | {"mean": "61,0"}], "mean is '61,0'; write a number"),
        ([LINE | {"papillary": "wall"}], "papillary is 'wall'"),
        ([LINE | {"source": ""}], "there is no source"),
        ([LINE, LINE | {"papillary": "", "age_from": "40"}], "lines 2 and 3 both give lv_ef_percent"),
        ([], "has no column or no line of measure"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, lines, sentence):
    with pytest.raises(InputError, match=sentence):
        read_reference_ranges(write(tmp_path / "own.csv", *lines))


def test_a_missing_table_is_one_sentence_before_the_work(tmp_path, capsys):
    words = ["run", str(tmp_path), "-o", str(tmp_path / "o"), "--reference-ranges", str(tmp_path / "no.csv")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "no.csv: the table of normal ranges cannot be read" in said and said.count("\n") == 1


def test_the_files_have_range_and_position(result, tmp_path, read_json):
    marks = {"lv_edv_ml": Mark(), "lv_sphericity_ed": Mark()}
    found = replace(result.segmented, ranges=normal_ranges(MAN), marks=marks)
    write_measurements(found, tmp_path)
    told = read_json(tmp_path / "measurements.json")["normal_ranges"]
    edv = result.function.lv.edv_ml
    assert told["ranges"]["lv_edv_ml"] == {
        "lower": 109.0,
        "upper": 227.0,
        "position": NormalRange(109, 227).position(edv),
    }
    assert told["ranges"]["lv_edv_index_ml_per_m2"]["position"] is None and "10.1016/j.jcmg" in told["sources"][0]
    with open(tmp_path / "measures.csv", newline="") as stream:
        rows = {row["measurement"]: row for row in csv.DictReader(stream)}
    assert rows["lv_edv_ml"]["normal_lower"] == "109.0" and rows["lv_edv_ml"]["position"] in ("below", "within")
    assert rows["lv_sphericity_ed"]["position"] == ""


def test_one_row_of_a_study_says_where_its_measurements_lie(result, tmp_path):
    """As in summary.csv and cohort.csv: a position beside each value and index, and whose limits they are."""
    values = result.function.to_dict()
    row = summary_row(replace(result, segmented=replace(result.segmented, ranges=normal_ranges(MAN))))
    for name, limits in (("lv_edv_ml", (109, 227)), ("lv_ef_percent", (47, 72)), ("lv_mass_g", (73, 144))):
        assert row[f"{name}_position"] == NormalRange(*limits).position(values[name])
    assert row["normal_ranges"] == "healthy White adults, men of 50 to 59 years"
    assert row["lv_cardiac_output_l_per_min_position"] == ""  # it has no limits
    assert row["lv_edv_index_ml_per_m2"] == row["lv_edv_index_ml_per_m2_position"] == ""  # nor size of the body
    nobody = summary_row(replace(result, segmented=replace(result.segmented, ranges=normal_ranges(SegmentChoice()))))
    assert list(nobody) == list(row) and nobody["lv_edv_ml_position"] == ""
    assert nobody["normal_ranges"].startswith("No normal ranges: the patient's sex and age are not known")
    limits = ("lv_edv_ml_position", "rv_edv_ml_position")
    rows = [
        nobody | dict.fromkeys(limits, said) | {"study": said, "status": "done"} for said in ("below", "within", "")
    ]
    write_page(rows, tmp_path)
    page = (tmp_path / "cohort.html").read_text(encoding="utf-8")
    assert page.count('title="below the normal range"') == 2 and page.count(" data-outside>") == 1


def test_the_report_marks_what_is_outside(result):
    function = result.function
    limits = {"lv_ef_percent": NormalRange(90.0, 95.0), "rv_ef_percent": NormalRange(None, 99.0)}
    rows = facts.measurement_rows(function, {}, NormalRanges(limits=limits, group="g", sources=("s",)))
    (left, right) = next(row for row in rows if row.name == "Ejection fraction").cells
    assert (left.normal, left.position) == ("90 to 95", "below") and (right.normal, right.position) == (
        "at most 99",
        "within",
    )
    assert next(row for row in rows if row.name == "Stroke volume").cells[0].normal == ""


def test_a_manifest_says_sex_and_age(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "list.csv").write_text("study,sex,age,height_cm\na,F,061Y,170\n")
    (study,) = find_studies([tmp_path / "list.csv"])
    assert Body.of(study.patient) == Body(sex="F", age_years=61, height_m=1.7)
