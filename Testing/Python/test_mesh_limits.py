"""Quality lines: what a report misses is named in it, in the scene's table and on the command line."""

import json
from dataclasses import replace

import pytest
import SimpleITK as sitk
from test_mesh_build import COARSE, THICK, heart, mesh

from BiVMeshLib import MeshOptions, build_mesh
from BiVMeshLib.check import quality
from CardiacLib.errors import InputError
from CardiacLib.geometry import to_sitk
from CardiacLib.types.mesh_criteria import CRITERIA, LIMITS
from CardiacLib.types.mesh_quality import MeshQuality
from CardiacLib.types.values import read_value, write_value
from cineheart.cli import main
from cineheart.report import facts


def changed(**parts):
    """The report of the mesh with other values in some of its parts, as ``shape={"inverted_tets": 1}``."""
    report = mesh().quality
    return replace(report, **{part: replace(getattr(report, part), **values) for part, values in parts.items()})


def test_every_line_is_in_the_report():
    q = mesh().quality.to_dict()
    assert set(LIMITS) - {"rv_wall_error_percent"} <= set(q["lines"])
    assert q["lines"]["euler"] == {"value": 2, "limit": "2", "met": True}
    limits = {"scaled_jacobian_min": ">= 0.3", "scaled_jacobian_p1": ">= 0.4", "min_dihedral_deg": ">= 18"}
    for name, limit in limits.items():
        met = bool(q[name] >= float(limit.split()[1]))
        assert q["lines"][name] == {"value": q[name], "limit": limit, "met": met}
    assert q["lines"]["scaled_jacobian_mean"]["limit"] == ">= 0.78"
    assert q["missed_lines"] == [name for name, line in q["lines"].items() if not line["met"]]
    json.dumps(q, allow_nan=False)


def test_a_mean_below_its_line_passes_the_gate_and_is_named():
    shape = {"scaled_jacobian_mean": 0.7712, "scaled_jacobian_p1": 0.39}
    report = changed(shape=shape, topology={"euler": 0})
    lines = report.lines()
    assert {"scaled_jacobian_mean", "scaled_jacobian_p1", "euler"} <= set(report.missed())
    assert str(lines["scaled_jacobian_mean"]) == "0.771 (>= 0.78)" and str(lines["euler"]) == "0 (2)"
    assert quality.failures(changed(shape=shape), COARSE) == []
    assert quality.failures(report, COARSE) == ["euler is 0 instead of 2"]


def test_the_gate_asks_what_the_options_say():
    """Of the shape only where elements were optimised, of the topology always."""
    report = changed(shape={"min_dihedral_deg": 14.91, "scaled_jacobian_min": 0.2}, topology={"open_edges": 3})
    assert quality.failures(report, COARSE) == [
        "open_edges is 3 instead of 0",
        "min_dihedral_deg is 14.9, below 18",
        "scaled_jacobian_min is 0.2, below 0.3",
    ]
    lax = replace(COARSE, min_dihedral_deg=14.0)
    assert [text.split()[0] for text in quality.failures(report, lax)] == ["open_edges", "scaled_jacobian_min"]
    assert quality.failures(report, replace(COARSE, optimise=False)) == ["open_edges is 3 instead of 0"]
    torn = changed(topology={"patch_components": {"EPI": 1, "BASE": 2}})
    assert quality.failures(torn, COARSE) == ["patch_components_max is 2 instead of 1"]


def test_criteria_have_one_kind_each():
    kinds = {c.name: c.limit for c in CRITERIA}
    assert len(kinds) == len(CRITERIA) and kinds["euler_base"] == "-1" and kinds["distance_mean_mm"] == "<= 0.6"
    assert kinds["lv_pool_error_percent"] == "-2 to 2"
    assert MeshOptions().min_dihedral_deg == LIMITS["min_dihedral_deg"].low
    assert MeshOptions().min_scaled_jacobian == LIMITS["scaled_jacobian_min"].low
    assert LIMITS["distance_mean_mm"].miss(0.7) == "distance_mean_mm is 0.7, above 0.6"
    assert LIMITS["lv_pool_error_percent"].met_by(-2.0) and not LIMITS["lv_pool_error_percent"].met_by(2.1)


def test_an_lv_alone_has_no_line_for_the_rv():
    report = mesh().quality
    alone = {name: value for name, value in report.topology.patch_euler.items() if name != "ENDO_RV"} | {"BASE": 0}
    errors = {name: value for name, value in report.fidelity.volume_error_percent.items() if "rv" not in name}
    lv = changed(topology={"patch_euler": alone}, fidelity={"volume_error_percent": errors})
    lines = lv.lines()
    assert lines["euler_base"].met and not {"euler_endo_rv", "rv_pool_error_percent"} & set(lines)
    assert quality.failures(lv, COARSE) == []


def test_a_report_comes_back_from_its_document_and_from_a_job(tmp_path):
    report = mesh().quality
    assert MeshQuality.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    bare = quality.measure(mesh())
    assert MeshQuality.from_dict(bare.to_dict()) == bare and bare.fidelity is None and bare.shape == report.shape
    write_value(tmp_path / "value.npz", report)
    assert read_value(tmp_path / "value.npz") == report


def test_the_page_names_missed_lines():
    shape = {"scaled_jacobian_p1": 0.5, "scaled_jacobian_mean": 0.8}
    shown = {row.name: row.cells[0].text for row in facts.mesh_rows(changed(shape=shape), {})}
    assert shown["Beyond a quality line"] == "nothing"
    missed = facts.mesh_rows(changed(shape=shape | {"scaled_jacobian_mean": 0.77}), {})
    rows = {row.name: row.cells[0].text for row in missed}
    assert rows["Beyond a quality line"] == "scaled jacobian mean" and rows["Scaled Jacobian, mean"] == "0.770"


def test_the_scene_shows_lines_beside_values():
    pytest.importorskip("slicer")
    from BiVMeshLib.mrml.tables import mesh_quality_to_scene
    from CardiacLib.mrml.nodes.host import private_scene

    with private_scene():
        table = mesh_quality_to_scene(changed(shape={"scaled_jacobian_mean": 0.77}), "Mesh").GetTable()
        columns = [table.GetColumnByName(name) for name in ("Measure", "Value", "Limit", "Met")]
        count = table.GetNumberOfRows()
        rows = {columns[0].GetValue(n): tuple(c.GetValue(n) for c in columns[1:]) for n in range(count)}
    assert rows["scaled_jacobian_mean"] == ("0.77", ">= 0.78", "NO") and rows["min_dihedral_deg"][1:] == (
        ">= 18",
        "yes",
    )
    assert rows["nodes"] == (str(len(mesh().nodes)), "", "")


@pytest.mark.slow
def test_the_command_tells_missed_lines(tmp_path, rough_meshes, capsys):
    """Elements as poor as these miss the lines of their shape: the mesh is written, and this said."""
    sitk.WriteImage(to_sitk(*heart()), str(tmp_path / "labels.nii.gz"))
    arguments = ["mesh", str(tmp_path / "labels.nii.gz"), "-o", str(tmp_path / "out"), "--edge-length", "5"]
    assert main([*arguments, "--no-fibres", "--no-coordinates", "--format", "vtp"]) == 0
    written = json.loads((tmp_path / "out" / "quality.json").read_text())
    said = capsys.readouterr()
    assert written["missed_lines"] and all(name in said.err for name in written["missed_lines"])
    assert "MISSED" in said.out


def test_the_gate_may_be_set_on_the_command_line(tmp_path, capsys):
    sitk.WriteImage(to_sitk(*heart()), str(tmp_path / "labels.nii.gz"))
    arguments = ["mesh", str(tmp_path / "labels.nii.gz"), "-o", str(tmp_path / "out"), "--min-dihedral", "50"]
    assert main(arguments) == 2
    assert "min_dihedral_deg is 50" in capsys.readouterr().err
    strict = replace(THICK, min_scaled_jacobian=0.55)
    with pytest.raises(InputError, match="scaled_jacobian_min is"):
        build_mesh(*heart(), strict)
