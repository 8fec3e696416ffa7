"""The Network section of two panels: licence, weights fetched, imported and cleared, and why a button is off."""

import hashlib
import json
import os
import sys
import threading
import time

import pytest
from panel_hearts import MODULES, heart_cine, install_quick_worker, install_worker, living_processes
from weights_server import Server

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from CardiacLib.errors import InputError  # noqa: E402
from CardiacLib.networks import model_store  # noqa: E402
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

    from CardiacLib.networks.bundles import bundle_path, read_config

    network = read_config(bundle_path(PUBLISHED["CardiacSeg"]), "inference").get_parsed_content("network_def")
    path = tmp_path_factory.mktemp("weights") / "mine.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def panel(host, scene):
    """The segmentation panel with a cine and the published network, whose weights are not there."""
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    cine_to_scene(heart_cine(2), "sax")
    opened = host.open_panel("CardiacSeg")
    opened.ui.bundleSelector.currentIndex = 1
    return opened


def choose_file(monkeypatch, path) -> None:
    """What the user picks in the next file dialog."""
    monkeypatch.setattr(sys.modules["qt"].QFileDialog, "getOpenFileName", staticmethod(lambda *asked: str(path)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_button_says_why_it_is_off(host, scene, name):
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    cine_to_scene(heart_cine(2).with_changes(view="sax" if name == "CardiacSeg" else "4ch"), "cine")
    panel = host.open_panel(name)
    assert "come with" in panel.ui.weightsLabel.text
    for button in BUTTONS:
        assert not getattr(panel.ui, button).enabled and "come with" in getattr(panel.ui, button).toolTip
    assert "research use only" in panel.ui.licenceLabel.text and panel.ui.applyButton.enabled
    shipped = panel.ui.licenceLabel.text
    panel.ui.bundleSelector.currentIndex = 1
    assert panel.panel.parameters.bundle == PUBLISHED[name] and "MIT" in panel.ui.licenceLabel.text
    assert "Published" in panel.ui.bundleSelector.currentText and "_" not in panel.ui.bundleSelector.currentText
    assert panel.ui.licenceLabel.text != shipped and "fetch or import" in panel.ui.weightsLabel.text
    assert panel.ui.fetchButton.enabled and "https://" in panel.ui.fetchButton.toolTip
    assert panel.ui.importButton.enabled and not panel.ui.clearButton.enabled
    assert "no weights to clear" in panel.ui.clearButton.toolTip
    assert not panel.ui.applyButton.enabled and "fetch or import" in panel.ui.applyButton.toolTip


@pytest.mark.slow
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


@pytest.mark.slow
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
    monkeypatch.setattr(panel.panel, "worker", install_quick_worker(monkeypatch, tmp_path))
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


FETCHER = """
import json, os, sys
from CardiacLib.networks import model_store
from CardiacLib.jobs import run_worker
from cineheart.worker import TASKS

entry = model_store.Entry(**json.loads(os.environ["CINEHEART_TEST_ENTRY"]))
model_store.manifest = lambda: {entry.name: entry}
sys.exit(run_worker(TASKS, sys.argv[1:]))
"""


@pytest.fixture
def server(panel, weights, monkeypatch, tmp_path):
    """A server on this machine that has published the weights; the panel's worker is the real one but its address."""
    content = weights.read_bytes()
    monkeypatch.setattr(panel.panel, "worker", install_worker(monkeypatch, tmp_path, "fetch_worker", FETCHER))
    with Server(content).running() as made:
        facts = {"name": PUBLISHED["CardiacSeg"], "version": "0", "licence": "MIT", "file": "models/model.pt"}
        facts |= {"urls": [made.url], "page": "https://x", "sha256": hashlib.sha256(content).hexdigest()}
        monkeypatch.setenv("CINEHEART_TEST_ENTRY", json.dumps(facts))
        # The application gives workers the environment that it was started with.
        monkeypatch.setattr(slicer.util, "startupEnvironment", lambda: dict(os.environ))
        yield made


@pytest.mark.slow
def test_a_broken_fetch_goes_on_where_it_stopped(host, panel, cache, server, weights):
    server.break_after = 1_000_000
    panel.ui.fetchButton.click()
    host.wait_until(lambda: not panel.panel.running)
    said = host.errors.pop()
    assert "the connection ended after 1000000 of" in said and "try again" in said and not host.errors
    (part,) = cache.iterdir()
    assert part.name == f".{PUBLISHED['CardiacSeg']}.part" and part.stat().st_size == 1_000_000
    assert "1.0 MB of them are here" in panel.ui.weightsLabel.text and panel.ui.fetchButton.enabled
    assert panel.ui.clearButton.enabled and not panel.ui.applyButton.enabled
    server.break_after = None
    panel.ui.fetchButton.click()
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors and "are here" in panel.ui.statusLabel.text and panel.ui.applyButton.enabled
    assert server.requests == [None, "bytes=1000000-"]
    assert [path.name for path in cache.iterdir()] == [PUBLISHED["CardiacSeg"]]
    source = model_store.weights_source(PUBLISHED["CardiacSeg"])
    assert source.state == "fetched" and source.published and source.origin == server.url


def test_what_a_broken_fetch_left_can_be_cleared(host, panel, cache, server):
    server.break_after = 1_000_000
    panel.ui.fetchButton.click()
    host.wait_until(lambda: not panel.panel.running)
    host.errors.clear()
    panel.ui.clearButton.click()
    assert "(1.0 MB)" in panel.ui.statusLabel.text and not any(cache.iterdir())
    assert "fetch or import" in panel.ui.weightsLabel.text and not panel.ui.clearButton.enabled


def test_cancel_ends_a_fetch_at_once(host, panel, cache, server):
    server.break_after, server.hold = 1_000_000, threading.Event()
    panel.ui.fetchButton.click()
    part = cache / f".{PUBLISHED['CardiacSeg']}.part"
    host.wait_until(lambda: "fetched" in panel.ui.statusLabel.text and part.is_file())
    group, began = panel.panel._run.pid, time.monotonic()
    panel.ui.cancelButton.click()
    assert time.monotonic() - began < 2.0 and not living_processes(group)
    assert "Cancelled" in panel.ui.statusLabel.text and not any(cache.iterdir()) and not host.errors
    assert "fetch or import" in panel.ui.weightsLabel.text and panel.ui.fetchButton.enabled


def test_the_worker_fetches_and_says_what_is_wrong(tmp_path, weights, monkeypatch):
    """The worker's own tasks, with a published file that lies on this disk."""
    from CardiacLib.networks.download import checksum
    from cineheart.worker import TASKS

    name, cache = PUBLISHED["CardiacSeg"], tmp_path / "worker cache"
    entry = model_store.Entry(
        name, "1", "MIT", "model.pt", (weights.as_uri(),), "page", sha256=checksum(weights, "sha256")
    )
    monkeypatch.setattr(model_store, "manifest", lambda: {name: entry})
    told = []
    TASKS["fetch_weights"](name, str(cache), progress=lambda fraction, message: told.append(fraction))
    assert model_store.weights_source(name, cache).state == "fetched" and told[-1] >= 0.9
    model_store.clear(name, cache)
    with pytest.raises(InputError, match="no such file"):
        TASKS["import_weights"](name, str(cache), str(tmp_path / "none.pt"), progress=lambda *told: None)


def test_a_mouse_has_a_network_of_its_own(panel):
    panel.panel.parameters.species = "mouse"
    panel.panel.update()
    shown = panel.ui
    assert shown.weightsLabel.text == "Mouse short-axis cine segmentation, small: come with CineHeart"
    assert shown.licenceLabel.text.startswith("Weights: Apache-2.0") and not shown.bundleSelector.enabled
    assert "people" in shown.bundleSelector.toolTip
    panel.panel.parameters.species = "human"
    panel.panel.update()
    assert "not here" in shown.weightsLabel.text and shown.bundleSelector.enabled
