"""The tutorial from sample data to a finite-element mesh, clicked through in the panel host with real workers."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer")
try:
    import PySide6.QtWidgets  # noqa: F401
except ImportError as error:
    pytest.skip(f"PySide6-Essentials or a system library of it is missing: {error}", allow_module_level=True)

from Testing.SlicerHost import SlicerHost  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "Docs" / "Tutorial.md").read_text(encoding="utf-8")
spec = importlib.util.spec_from_file_location("tutorial", ROOT / "Docs" / "examples" / "tutorial.py")
tutorial = importlib.util.module_from_spec(spec)
sys.modules["tutorial"] = tutorial
spec.loader.exec_module(tutorial)


@pytest.fixture(scope="module")
def host():
    with SlicerHost(*tutorial.MODULES, style_modules=(__name__, "tutorial")) as running:
        yield running


def number_after(name: str, text: str) -> float:
    """The first number after a word, in what a panel says, weak values grey, or the page tells."""
    return float(re.search(rf"{name}\D*([\d.]+)", re.sub("<[^>]+>", "", text))[1])


@pytest.mark.slow
def test_from_sample_data_to_a_finite_element_mesh(host, scene, phantom, tmp_path):
    meshio = pytest.importorskip("meshio")
    steps = []
    done = tutorial.walk(host, tmp_path, lambda step, panel, _: steps.append((step, panel)), small=True)
    assert [step for step, _ in steps] == ["sample", "segmentation", "landmarks", "mesh"] and not host.errors
    assert set(done.volumes) == {"sax", "2ch", "3ch", "4ch"}
    true_ef = 100 * (1 - phantom.volumes["lv"].min() / phantom.volumes["lv"].max())
    assert abs(number_after("EF", done.said["segmentation"]) - true_ef) < 10
    assert {"mitral", "aortic", "tricuspid"} >= set(done.points) and done.points
    mesh = meshio.read(tmp_path / "mesh" / "mesh.msh")
    assert {"LV_MYO", "RV_WALL", "SEPTUM", "EPI", "ENDO_LV", "ENDO_RV", "BASE"} <= set(mesh.field_data)
    assert sum(len(block.data) for block in mesh.cells if block.type == "tetra") > 10_000
    assert (tmp_path / "mesh" / "mesh.vtu").is_file() and (tmp_path / "scene.mrb").stat().st_size > 100_000


def test_the_page_names_controls_as_the_panels_do(host, scene):
    """Every control that the page sets in bold is a text, label or section of one of the panels or of Slicer."""
    shown = {"Sample Data", "Segment Editor", tutorial.SAMPLE, tutorial.SMALL_SAMPLE, "Save"}
    for name in ("CardiacSeg", "CardiacLandmarks", "BiVMesh"):
        panel = host.open_panel(name)
        shown.add(getattr(slicer.modules, name.lower()).title)
        for widget in vars(panel.ui).values():
            for attribute in ("text", "title"):
                value = getattr(widget, attribute, "")
                shown.add(value.rstrip(":") if isinstance(value, str) else "")
    named = set(re.findall(r"\*\*(.+?)\*\*", PAGE))
    assert named and not named - shown
