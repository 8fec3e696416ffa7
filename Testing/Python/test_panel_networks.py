"""The Network section of two panels: licence, weights fetched, imported and cleared, and why a button is off."""

import sys
import time

import pytest
from panel_hearts import MODULES, heart_cine, install_quick_worker, living_processes

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from CardiacLib import model_store  # noqa: E402
from CardiacLib.errors import InputError  # noqa: E402
from Testing.SlicerHost import SlicerHost  # noqa: E402

PUBLISHED = {"CardiacSeg": "ventricular_short_axis_3label", "CardiacLandmarks": "valve_landmarks"}
BUTTONS = ("fetchButton", "importButton", "clearButton")


@pytest.fixture(scope="module")
def host():
    with SlicerHost(*MODULES[:2], style_modules=(__name__,)) as running:
        yield running


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    folder = tmp_path / "cache"
    monkeypatch.setenv("CINEHEART_BUNDLES", str(folder))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights that fit the published network of the segmentation panel."""
    import torch

    from CardiacLib.bundles import bundle_path, read_config

    network = read_config(bundle_path(PUBLISHED["CardiacSeg"]), "inference").get_parsed_content("network_def")
    path = tmp_path_factory.mktemp("weights") / "mine.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def panel(host, scene):
    """The segmentation panel with a cine and the published network, whose weights are not there."""
    from CardiacLib.mrml.cines import cine_to_scene

    cine_to_scene(heart_cine(2), "sax")
    opened = host.open_panel("CardiacSeg")
    opened.ui.bundleSelector.currentIndex = 1
    return opened


def choose_file(monkeypatch, path) -> None:
    """What the user picks in the next file dialog."""
    monkeypatch.setattr(sys.modules["qt"].QFileDialog, "getOpenFileName", staticmethod(lambda *asked: str(path)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_button_says_why_it_is_off(host, scene, name):
    from CardiacLib.mrml.cines import cine_to_scene

    cine_to_scene(heart_cine(2).with_changes(view="sax" if name == "CardiacSeg" else "4ch"), "cine")
    panel = host.open_panel(name)
    assert "come with" in panel.ui.weightsLabel.text
    for button in BUTTONS:
        assert not getattr(panel.ui, button).enabled and "come with" in getattr(panel.ui, button).toolTip
    assert "research use only" in panel.ui.licenceLabel.text and panel.ui.applyButton.enabled
    shipped = panel.ui.licenceLabel.text
    panel.ui.bundleSelector.currentIndex = 1
    assert panel.ui.bundleSelector.currentText == PUBLISHED[name] and "MIT" in panel.ui.licenceLabel.text
    assert panel.ui.licenceLabel.text != shipped and "fetch or import" in panel.ui.weightsLabel.text
    assert panel.ui.fetchButton.enabled and "https://" in panel.ui.fetchButton.toolTip
    assert panel.ui.importButton.enabled and not panel.ui.clearButton.enabled
    assert "no weights to clear" in panel.ui.clearButton.toolTip
    assert not panel.ui.applyButton.enabled and "fetch or import" in panel.ui.applyButton.toolTip


def test_import_and_clear(host, panel, cache, weights, monkeypatch):
    choose_file(monkeypatch, weights)
    panel.ui.importButton.click()
    assert panel.panel.running and not panel.ui.importButton.enabled and "Cancel" in panel.ui.importButton.toolTip
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors and "are here" in panel.ui.statusLabel.text
    assert "mine.pt" in panel.ui.weightsLabel.text and "not the published" in panel.ui.licenceLabel.text
    assert panel.ui.applyButton.enabled and not panel.ui.fetchButton.enabled
    assert sorted(path.name for path in cache.iterdir()) == [PUBLISHED["CardiacSeg"]]
    panel.ui.clearButton.click()
    assert "Removed" in panel.ui.statusLabel.text and not any(cache.iterdir())
    assert panel.ui.fetchButton.enabled and not panel.ui.applyButton.enabled


def test_a_file_that_does_not_fit_is_one_sentence(host, panel, cache, tmp_path, monkeypatch):
    (tmp_path / "page.pt").write_text("<html>quota exceeded</html>")
    choose_file(monkeypatch, tmp_path / "page.pt")
    panel.ui.importButton.click()
    host.wait_until(lambda: not panel.panel.running)
    assert len(host.errors) == 1 and host.errors[0].startswith(str(tmp_path / "page.pt"))
    assert not cache.exists() or not any(cache.iterdir())
    host.errors.clear()
    choose_file(monkeypatch, "")  # the user pressed Cancel in the dialog
    panel.ui.importButton.click()
    assert not panel.panel.running and not host.errors


@pytest.mark.parametrize("end", ["cancel", "scene close", "module reload"])
def test_a_stopped_fetch_leaves_nothing(host, scene, panel, cache, monkeypatch, tmp_path, end):
    monkeypatch.setattr("CardiacLib.mrml.networks.WORKER", install_quick_worker(monkeypatch, tmp_path))
    panel.ui.fetchButton.click()
    host.wait_until(lambda: panel.ui.progressBar.value == 50)
    group = panel.panel._run.pid
    assert [path.suffix for path in cache.iterdir()] == [".part"] and "fetched" in panel.ui.statusLabel.text
    stop = {
        "cancel": panel.ui.cancelButton.click,
        "scene close": lambda: scene.Clear(0),
        "module reload": panel.cleanup,
    }
    began = time.monotonic()
    stop[end]()
    assert time.monotonic() - began < 2.0 and not living_processes(group)
    assert not any(cache.iterdir()) and not host.errors and not panel.panel.running


def test_the_worker_fetches_and_says_what_is_wrong(tmp_path, weights, monkeypatch):
    """The worker's own tasks, with a published file that lies on this disk."""
    from CardiacLib.__main__ import TASKS
    from CardiacLib.download import checksum

    name, cache = PUBLISHED["CardiacSeg"], tmp_path / "worker cache"
    entry = model_store.Entry(
        name, "1", "MIT", "model.pt", (weights.as_uri(),), "page", sha256=checksum(weights, "sha256")
    )
    monkeypatch.setattr(model_store, "manifest", lambda: {name: entry})
    told = []
    TASKS["fetch"](name, str(cache), lambda fraction, message: told.append(fraction))
    assert model_store.weights_source(name, cache)["state"] == "fetched" and told[-1] >= 0.9
    model_store.clear(name, cache)
    with pytest.raises(InputError, match="no such file"):
        TASKS["import"](name, str(tmp_path / "none.pt"), str(cache), lambda *told: None)
