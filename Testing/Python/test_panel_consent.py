"""The licence of non-commercial weights: accepted once in Slicer, remembered; by a flag without a window."""

import json
import shutil

import pytest
from panel_hearts import add_true_results, heart_cine, install_quick_worker, logic_of, tetrahedron

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from CardiacLib.errors import InputError  # noqa: E402
from CardiacLib.networks.bundles import bundle_path  # noqa: E402


@pytest.fixture
def answers(host, monkeypatch):
    """What the user says to the questions that come, and the questions."""
    state = {"yes": True, "asked": []}

    def confirm(text, title=None):
        state["asked"].append(text)
        return state["yes"]

    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", confirm)
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False)
    __import__("qt").QSettings().clear()
    return state


def test_the_panel_asks_once_before_the_first_use(host, scene, answers, monkeypatch, tmp_path):
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    install_quick_worker(monkeypatch, tmp_path)
    monkeypatch.setattr("CardiacLib.mrml.panel.dependencies.missing_requirements", lambda *_: [])
    cine_to_scene(heart_cine(1), "sax")
    panel = host.open_panel("CardiacSeg")
    answers["yes"] = False
    panel.ui.applyButton.click()
    assert not panel.panel.running and "was not accepted" in panel.ui.statusLabel.text and not host.errors
    assert "CC BY-NC-SA 4.0" in answers["asked"][0] and "not be used commercially" in answers["asked"][0]
    answers["yes"] = True
    for _ in range(2):
        panel.ui.applyButton.click()
        assert panel.panel.running
        panel.ui.cancelButton.click()
    assert len(answers["asked"]) == 2  # the first was refused, the second is remembered


def test_another_licence_is_asked_for_again(host, answers, tmp_path, monkeypatch):
    from CardiacLib.mrml.panel.consent import ask_for_licence

    folder = tmp_path / "mine"
    (folder / "configs").mkdir(parents=True)
    path = folder / "configs" / "metadata.json"
    shutil.copy(bundle_path("cineheart_sax") / "configs" / "metadata.json", path)
    for licence in ("CC BY-NC 4.0", "CC BY-NC 4.0", "CC BY-NC-ND 4.0", "MIT"):
        path.write_text(json.dumps({"copyright": licence}))
        ask_for_licence(str(folder))
    assert ["CC BY-NC 4.0" in answers["asked"][0], "BY-NC-ND" in answers["asked"][1]] == [True, True]
    assert len(answers["asked"]) == 2


def test_a_script_without_a_window_accepts_by_a_flag(host, scene, answers):
    from CardiacLib.mrml.nodes.cines import cine_to_scene
    from CardiacLib.mrml.panel.consent import require_licence

    _, volume = cine_to_scene(heart_cine(1), "sax")
    with pytest.raises(InputError, match="acceptLicence=True"):
        logic_of("CardiacSeg").segmentSequence(volume)
    require_licence("cineheart_sax", True)
    require_licence("valve_landmarks", False)  # MIT
    assert answers["asked"] == []


def test_outside_slicer_nothing_is_asked(answers, monkeypatch):
    from CardiacLib.mrml.panel.consent import require_licence

    monkeypatch.setattr(slicer, "app", None)
    require_licence("cineheart_sax", False)
    assert answers["asked"] == []


def test_pytorch_is_asked_for_after_the_licence_where_it_runs_the_network(host, scene, answers, monkeypatch, tmp_path):
    """Where nothing else is missing: no question with the defaults, one for a graphics processor of NVIDIA."""
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    install_quick_worker(monkeypatch, tmp_path)
    monkeypatch.setattr("CardiacLib.mrml.panel.dependencies.missing_requirements", lambda optional=(): list(optional))
    monkeypatch.setattr(slicer.util, "mainWindow", object)
    cine_to_scene(heart_cine(1), "sax")
    panel = host.open_panel("CardiacSeg")
    panel.ui.applyButton.click()
    assert panel.panel.running and len(answers["asked"]) == 1 and "licence" in answers["asked"][0]
    panel.ui.cancelButton.click()
    panel.panel.parameters.device, answers["yes"] = "cuda", False
    panel.ui.applyButton.click()
    (question,) = answers["asked"][1:]
    assert "torch (about 900 MB)" in question and "monai" in question and "About 902 MB" in question
    assert "openvino" not in question and not panel.panel.running and "not installed" in panel.ui.statusLabel.text


@pytest.mark.parametrize(
    ("module", "button"),
    [("CardiacSeg", "measureButton"), ("CardiacLandmarks", "measureButton"), ("BiVMesh", "applyButton")],
)
def test_runs_without_a_network_need_packages_too(host, scene, phantom, monkeypatch, module, button):
    """Without a main window, as here, nobody can be asked: one sentence says what is missing."""
    monkeypatch.setattr("CardiacLib.mrml.panel.dependencies.missing_requirements", lambda *_: ["scikit-image>=0.22"])
    results = add_true_results(phantom, tetrahedron())
    panel = host.open_panel(module)
    panel.ui.outputSelector.setCurrentNode(results[module])
    host.process_events()
    getattr(panel.ui, button).click()
    assert not panel.panel.running
    assert [f"missing: scikit-image>=0.22; open the {module} module" in error for error in host.errors] == [True]
    host.errors.clear()
