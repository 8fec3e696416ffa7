"""Compiled networks are kept: found again for the same network only, whole, few, and removed when asked."""

import importlib.util
import os
from pathlib import Path

import pytest
import torch

from CardiacLib.networks.backends import OpenVinoPredictor
from CardiacLib.networks.compiled_networks import KEPT, clear_compiled, compiled_file, keep_compiled, read_compiled
from CardiacSegLib.segment.feature_unet import FeatureUNet
from cineheart.cli import main

CPU = torch.device("cpu")
SHAPE = {"spatial_dims": 2, "in_channels": 3, "out_channels": 4, "channels": [4, 8], "strides": [1], "num_res_units": 1}
needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CINEHEART_BUNDLES", str(tmp_path / "cache"))
    return tmp_path / "cache" / "compiled"


def made(seed=0, **changes) -> torch.nn.Module:
    torch.manual_seed(seed)
    return FeatureUNet(**(SHAPE | {"features": 8} | changes)).eval()


def test_the_same_network_has_the_same_file(folder, monkeypatch):
    file = compiled_file(made(), "openvino 1", "f32")
    assert file == compiled_file(made(), "openvino 1", "f32") and file.parent == folder
    others = [
        compiled_file(made(seed=1), "openvino 1", "f32"),
        compiled_file(made(act="TANH"), "openvino 1", "f32"),
        compiled_file(made(), "openvino 2", "f32"),
        compiled_file(made(), "openvino 1", "bf16"),
    ]
    monkeypatch.setattr("inspect.getsource", lambda kind: "changed code")
    assert len({file, *others, compiled_file(made(), "openvino 1", "f32")}) == 6


def test_code_that_cannot_be_read_is_not_kept(monkeypatch):
    def unreadable(kind):
        raise OSError

    monkeypatch.setattr("inspect.getsource", unreadable)
    assert compiled_file(made()) is None


def test_only_whole_files_are_read(folder):
    file = folder / "a.bin"
    assert read_compiled(file) is None
    keep_compiled(file, b"exported")
    assert read_compiled(file) == b"exported"
    file.write_bytes(file.read_bytes()[:-1])
    assert read_compiled(file) is None
    file.write_bytes(b"")
    assert read_compiled(file) is None


def test_what_was_used_last_stays(folder):
    files = [folder / f"{number}.bin" for number in range(KEPT + 1)]
    for age, file in enumerate(files[:KEPT]):
        keep_compiled(file, b"exported")
        os.utime(file, (1000 + age, 1000 + age))
    assert read_compiled(files[0])  # the oldest is used
    keep_compiled(files[KEPT], b"exported")
    assert set(folder.iterdir()) == set(files) - {files[1]}


def test_files_that_another_process_removes_are_no_error(folder):
    keep_compiled(folder / "0.bin", b"exported")
    gone = folder / "gone.bin"
    gone.symlink_to(folder / "removed")  # listed, but not there
    for number in range(1, KEPT + 1):
        keep_compiled(folder / f"{number}.bin", b"exported")
    assert not gone.is_symlink() and len(list(folder.iterdir())) == KEPT


def test_a_cache_that_cannot_be_written_to(tmp_path):
    (tmp_path / "cache").write_text("no folder")
    keep_compiled(compiled_file(made()), b"exported")
    assert (tmp_path / "cache").read_text() == "no folder"


def test_the_command_removes_them(folder, capsys):
    keep_compiled(folder / "a.bin", bytes(2_000_000))
    assert main(["bundles", "clear", "compiled", "--json"]) == 0
    assert '"freed_mb": 2.0' in capsys.readouterr().out
    assert not list(folder.iterdir()) and clear_compiled() == 0


@needs_openvino
def test_a_kept_network_is_not_converted_again(folder, monkeypatch):
    slices = torch.rand(3, 3, 24, 32)
    first = OpenVinoPredictor(made(), CPU)(slices)
    assert len(list(folder.glob("*.bin"))) == 1
    monkeypatch.setattr("torch.jit.trace", None)
    again = OpenVinoPredictor(made(), CPU)
    assert torch.equal(again(slices), first)
    assert again(torch.rand(5, 3, 16, 48)).shape == (5, 4, 16, 48)


@needs_openvino
def test_a_damaged_file_is_made_anew(folder):
    slices = torch.rand(1, 3, 24, 32)
    first = OpenVinoPredictor(made(), CPU)(slices)
    (file,) = folder.glob("*.bin")
    file.write_bytes(file.read_bytes()[:-100])
    assert torch.equal(OpenVinoPredictor(made(), CPU)(slices), first)
    assert read_compiled(file)


@needs_openvino
def test_what_this_openvino_cannot_import_is_made_anew(folder):
    slices = torch.rand(1, 3, 24, 32)
    first = OpenVinoPredictor(made(), CPU)(slices)
    (file,) = folder.glob("*.bin")
    keep_compiled(file, b"of another kind")
    assert torch.equal(OpenVinoPredictor(made(), CPU)(slices), first)
    assert len(read_compiled(file)) > 100
