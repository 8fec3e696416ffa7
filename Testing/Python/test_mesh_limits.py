"""Quality lines: what a report misses is named in it, in the scene's table and on the command line."""

import json
from dataclasses import replace

import pytest
import SimpleITK as sitk
from test_mesh_build import COARSE, heart, mesh

from BiVMeshLib import build_mesh
from BiVMeshLib.check import quality
from BiVMeshLib.check.limits import LIMITS, line_text, measures, missed_lines, quality_lines
from CardiacLib.errors import InputError
from CardiacLib.geometry import to_sitk
from cineheart.cli import main
from cineheart.report import facts


def test_every_line_is_in_the_report():
    q = mesh().quality
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
    report = mesh().quality | {"scaled_jacobian_mean": 0.7712, "scaled_jacobian_p1": 0.39, "euler": 0}
    lines = quality_lines(measures(report))
    assert {"scaled_jacobian_mean", "scaled_jacobian_p1", "euler"} <= set(missed_lines(lines))
    assert line_text(lines["scaled_jacobian_mean"]) == "0.771 (>= 0.78)" and line_text(lines["euler"]) == "0 (2)"
    shape = ("scaled_jacobian_mean", "scaled_jacobian_p1")
    assert quality.failures(mesh().quality | {name: report[name] for name in shape}, COARSE) == []


def test_an_lv_alone_has_no_line_for_the_rv():
    report = mesh().quality
    alone = {name: value for name, value in report["patch_euler"].items() if name != "ENDO_RV"} | {"BASE": 0}
    errors = {name: value for name, value in report["volume_error_percent"].items() if "rv" not in name}
    lines = quality_lines(measures(report | {"patch_euler": alone, "volume_error_percent": errors}))
    assert lines["euler_base"]["met"] and not {"euler_endo_rv", "rv_pool_error_percent"} & set(lines)


def test_the_page_names_missed_lines():
    rows = dict(facts.mesh_rows(mesh().quality | {"missed_lines": ["scaled_jacobian_mean"]}))
    assert rows["Beyond a quality line"] == "scaled jacobian mean"
    assert dict(facts.mesh_rows(mesh().quality | {"missed_lines": []}))["Beyond a quality line"] == "nothing"


def test_the_scene_shows_lines_beside_values():
    pytest.importorskip("slicer")
    from BiVMeshLib.mrml.tables import mesh_quality_to_scene
    from CardiacLib.mrml.nodes.host import private_scene

    report = mesh().quality
    lines = report["lines"] | {"scaled_jacobian_mean": {"value": 0.77, "limit": ">= 0.78", "met": False}}
    with private_scene():
        table = mesh_quality_to_scene(report | {"lines": lines}, "Mesh").GetTable()
        columns = [table.GetColumnByName(name) for name in ("Measure", "Value", "Limit", "Met")]
        count = table.GetNumberOfRows()
        rows = {columns[0].GetValue(n): tuple(c.GetValue(n) for c in columns[1:]) for n in range(count)}
    assert rows["scaled_jacobian_mean"][1:] == (">= 0.78", "NO") and rows["min_dihedral_deg"][1:] == (">= 18", "yes")
    assert rows["nodes"] == (str(len(mesh().nodes)), "", "")


def test_the_command_tells_missed_lines(tmp_path, capsys):
    """With 3.2 mm in walls of 3 mm the mean scaled Jacobian misses its line: the mesh is written, and this said."""
    sitk.WriteImage(to_sitk(*heart()), str(tmp_path / "labels.nii.gz"))
    arguments = ["mesh", str(tmp_path / "labels.nii.gz"), "-o", str(tmp_path / "out"), "--edge-length", "3.2"]
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
    strict = replace(COARSE, min_scaled_jacobian=0.55, refinements=0)
    with pytest.raises(InputError, match="scaled_jacobian_min is"):
        build_mesh(*heart(), strict)
