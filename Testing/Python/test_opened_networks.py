"""One way to open networks: every bundle says which class runs it, and the three libraries refuse each other's."""

import importlib
import json
import shutil

import pytest

from CardiacLandmarksLib import open_detector
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_metadata, bundle_names, bundle_path
from CardiacLib.networks.opened import open_network, runner_of
from CardiacLib.types.choices import LANDMARK_BUNDLE, SHORT_AXIS_BUNDLE, NetworkChoice, RunsOn
from CardiacSegLib import open_segmenter
from CardiacSegLib.segment.published import VolumeSegmenter
from CardiacSegLib.segment.segmenter import Segmenter

ON_PROCESSOR = RunsOn("cpu", "torch")


def test_every_runner_that_a_bundle_names_exists_and_has_its_method():
    named = {name: bundle_metadata(bundle_path(name)).get("runner") for name in bundle_names()}
    for runner in filter(None, named.values()):
        module, _, name = runner.rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        assert hasattr(kind, "segment") or hasattr(kind, "detect")
    assert {SHORT_AXIS_BUNDLE, LANDMARK_BUNDLE} <= {name for name, runner in named.items() if runner}


def test_a_bundle_of_another_library_is_one_sentence():
    with pytest.raises(InputError, match=r"'cineheart_lax_landmarks' cannot be used here.*CardiacLandmarksLib"):
        open_segmenter(NetworkChoice(LANDMARK_BUNDLE, ON_PROCESSOR))
    with pytest.raises(InputError, match=r"'cineheart_sax' cannot be used here.*CardiacSegLib"):
        open_detector(NetworkChoice(SHORT_AXIS_BUNDLE, ON_PROCESSOR))


def test_a_bundle_that_names_nobody_is_run_as_monai_does_it(random_bundle, tmp_path):
    folder = tmp_path / "foreign"
    shutil.copytree(random_bundle, folder)
    file = folder / "configs" / "metadata.json"
    metadata = json.loads(file.read_text(encoding="utf-8"))
    usual = "CardiacSegLib.segment.published.VolumeSegmenter"
    assert runner_of(NetworkChoice(str(folder)), "CardiacSegLib", usual) is Segmenter
    file.write_text(json.dumps(metadata | {"runner": "CardiacSegLib.nothing.Segmenter"}), encoding="utf-8")
    with pytest.raises(InputError, match="'foreign' cannot be used here"):
        open_segmenter(NetworkChoice(str(folder), ON_PROCESSOR))
    file.write_text(json.dumps({k: v for k, v in metadata.items() if k != "runner"}), encoding="utf-8")
    assert runner_of(NetworkChoice(str(folder)), "CardiacSegLib", usual) is VolumeSegmenter


def test_what_is_opened(random_bundle):
    opened = open_network(NetworkChoice(str(random_bundle), ON_PROCESSOR))
    assert opened.name == random_bundle.name
    assert (opened.predictor.name, opened.predictor.device) == ("torch", "cpu")
    assert opened.said == "random_sax is run by PyTorch on the processor: it was asked for"
    assert opened.number("pixel_mm") == 1.4 and opened.setting("network_def", "norm")[0] == "INSTANCE"


@pytest.mark.parametrize(
    ("value", "said"), [("$1.4", "as a plain value"), ("@window", "as a plain value"), (True, "no number")]
)
def test_settings_are_plain_values(random_bundle, tmp_path, value, said):
    folder = tmp_path / "mine"
    shutil.copytree(random_bundle, folder)
    file = folder / "configs" / "inference.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"pixel_mm": value}), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        open_segmenter(NetworkChoice(str(folder), RunsOn("cpu", "openvino")))


def test_a_device_that_is_not_there(random_bundle):
    with pytest.raises(InputError, match="cuda:77"):
        open_network(NetworkChoice(str(random_bundle), RunsOn("cuda:77")))
    with pytest.raises(InputError, match="No backend 'onnx'"):
        RunsOn(backend="onnx")
