"""Shared fixtures: the real data folder (tests that need it skip without it), a tiny bundle, a small phantom."""

import atexit
import ctypes
import gc
import json
import logging
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
NONE_REFERENCES = 200_000
LONG_TESTS = {"test_console.py", "test_tutorial.py", "test_web_browser.py"}
"""Files of one test that takes as long as others' many."""

# Tests keep compiled networks in a cache of their own, not the user's.
if "CINEHEART_BUNDLES" not in os.environ:
    os.environ["CINEHEART_BUNDLES"] = tempfile.mkdtemp(prefix="cineheart-test-cache-")
    atexit.register(shutil.rmtree, os.environ["CINEHEART_BUNDLES"], ignore_errors=True)


def pytest_runtest_setup():
    """Keep None alive: libraries of the scene and of Qt return it without counting it, and Python would abort at zero.

    From Python 3.12 on None is never counted.
    """
    if sys.version_info < (3, 12):
        for _ in range(NONE_REFERENCES - sys.getrefcount(None)):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))


def pytest_collection_finish():
    """What was imported stays: the collector of garbage need not go through it again and again."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    """The files with the most slow tests come first, so that processes side by side end at about the same time."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (item.path.name not in LONG_TESTS, -slow[item.path]))


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real development data, from CINEHEART_DATA or beside the repository."""
    folder = Path(os.environ.get("CINEHEART_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no development data (set CINEHEART_DATA)")
    return folder


@pytest.fixture(scope="session")
def phantom():
    """The small synthetic study, made once."""
    from CardiacLib.phantom import PhantomOptions, make_phantom

    return make_phantom(PhantomOptions.small())


@pytest.fixture(scope="session")
def little_heart():
    """A study of two frames, ED and ES, of a heart so small that stacks of 1.25 mm are short."""
    from CardiacLib.phantom import PhantomOptions, make_phantom

    small = PhantomOptions.small(n_frames=2, sax_size=72, lv_edv_ml=75.0, rv_edv_ml=80.0, wall_mm=8.0)
    return make_phantom(small)


@pytest.fixture
def monai_log(caplog):
    """What MONAI's trainings log of their epochs is in the text of this caplog too."""
    logger = logging.getLogger("monai.handlers.StatsHandler")
    logger.addHandler(caplog.handler)
    with caplog.at_level("INFO"):
        yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture
def rough_meshes(monkeypatch):
    """No mesh is optimised, whoever asks for it: for tests of what goes on around a mesh, with a long edge length."""
    from CardiacLib.types.mesh_options import MeshOptions

    checked = MeshOptions.__post_init__

    def rough(options):
        object.__setattr__(options, "optimise", False)
        checked(options)

    monkeypatch.setattr(MeshOptions, "__post_init__", rough)


@pytest.fixture(scope="module")
def host(request):
    """A panel host with the three modules; its style checks look at the test module too."""
    from panel_hearts import MODULES

    from Testing.SlicerHost import SlicerHost

    with SlicerHost(*MODULES, style_modules=(request.module.__name__,)) as running:
        yield running


@pytest.fixture
def scene(host):
    """The scene of a module's panel host, empty; panels of earlier tests are gone."""
    import slicer

    host.close_panels()
    host.errors.clear()
    slicer.mrmlScene.Clear(0)
    return slicer.mrmlScene


@pytest.fixture(scope="session")
def random_bundle(tmp_path_factory) -> Path:
    """The shipped short-axis bundle with random weights instead of its own, as PyTorch and as ONNX have them."""
    import torch

    from CardiacLib.networks.bundles import bundle_path, read_config
    from CardiacLib.networks.onnx_export import export_bundle

    folder = tmp_path_factory.mktemp("bundles") / "random_sax"
    shutil.copytree(bundle_path("cineheart_sax") / "configs", folder / "configs")
    torch.manual_seed(5)  # it then draws some of every structure
    network = read_config(folder, "inference").get_parsed_content("network_def")
    (folder / "models").mkdir()
    torch.save({k: v.half() for k, v in network.state_dict().items()}, folder / "models" / "model.pt")
    export_bundle(folder)
    return folder


def make_ring_labels() -> np.ndarray:
    """Uint8 (K, J, I) = (8, 64, 72): LV ring with an RV beside it, closed towards slice 0 (apex)."""
    rows, columns = np.mgrid[:64, :72]
    labels = np.zeros((8, 64, 72), np.uint8)
    for k in range(8):
        shrink = 0.45 + 0.55 * np.sqrt(min(k + 1, 6) / 6)
        right = np.hypot(rows - 32, (columns - 28) * 0.8) < 17 * shrink
        epi = np.hypot(rows - 32, columns - 44) < 15 * shrink
        endo = np.hypot(rows - 32, columns - 44) < 9 * shrink
        labels[k][right] = 3
        labels[k][epi] = 2
        labels[k][endo] = 1
    return labels


@pytest.fixture
def ring_labels() -> np.ndarray:
    """The labels of :func:`make_ring_labels`."""
    return make_ring_labels()


@pytest.fixture
def read_json():
    """Parse a JSON file."""
    return lambda path: json.loads(Path(path).read_text(encoding="utf-8"))
