"""Compiled networks are kept: found again for the same network only, whole, few, and removed when asked."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from CardiacLib.networks.backends import openvino_backend
from CardiacLib.networks.backends.openvino_backend import OpenVinoPredictor
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.networks.compiled_networks import KEPT, clear_compiled, compiled_file, keep_compiled, read_compiled
from CardiacLib.networks.onnx_files import onnx_path
from CardiacLib.types.choices import INITIALIZATION_BUNDLE
from cineheart.cli import main

needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CINEHEART_BUNDLES", str(tmp_path / "cache"))
    return tmp_path / "cache" / "compiled"


def test_the_same_network_has_the_same_file(folder):
    file = compiled_file("network", "openvino 1", "f32")
    assert file == compiled_file("network", "openvino 1", "f32") and file.parent == folder
    others = [
        compiled_file("another", "openvino 1", "f32"),
        compiled_file("network", "openvino 2", "f32"),
        compiled_file("network", "openvino 1", "bf16"),
    ]
    assert len({file, *others}) == 4


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
    keep_compiled(compiled_file("network"), b"exported")
    assert (tmp_path / "cache").read_text() == "no folder"


def test_the_command_removes_them(folder, capsys):
    keep_compiled(folder / "a.bin", bytes(2_000_000))
    assert main(["bundles", "clear", "compiled", "--json"]) == 0
    assert '"freed_mb": 2.0' in capsys.readouterr().out
    assert not list(folder.iterdir()) and clear_compiled() == 0


@pytest.fixture(scope="module")
def content() -> bytes:
    return onnx_path(bundle_path(INITIALIZATION_BUNDLE)).read_bytes()


SLICES = np.random.default_rng(0).random((3, 1, 32, 48), np.float32)


@needs_openvino
def test_a_kept_network_is_not_converted_again(folder, content, monkeypatch):
    first = OpenVinoPredictor(content)(SLICES)
    assert len(list(folder.glob("*.bin"))) == 1

    def no_more(file, exported):
        raise AssertionError("compiled again")

    monkeypatch.setattr(openvino_backend, "keep_compiled", no_more)
    again = OpenVinoPredictor(content)
    assert np.array_equal(again(SLICES), first)
    assert again(np.zeros((5, 1, 16, 48), np.float32)).shape == (5, 5, 16, 48)


@needs_openvino
@pytest.mark.parametrize("damage", ["shortened", "of another kind"])
def test_a_damaged_file_is_made_anew(folder, content, damage):
    """As is one that this OpenVINO cannot import."""
    first = OpenVinoPredictor(content)(SLICES)
    (file,) = folder.glob("*.bin")
    if damage == "shortened":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        keep_compiled(file, b"of another kind")
    assert np.array_equal(OpenVinoPredictor(content)(SLICES), first)
    assert len(read_compiled(file)) > 100
