"""Weights that are not shipped: every form they come in, fetching over HTTP, importing, clearing, and the commands."""

import hashlib
import json
import sys
import zipfile

import pytest
import torch
from platformdirs.macos import MacOS
from platformdirs.unix import Unix
from platformdirs.windows import Windows
from weights_server import Server

from CardiacLib.errors import Cancelled, InputError
from CardiacLib.networks import model_store
from CardiacLib.networks.bundles import bundle_path, cache_folder, load_network, load_weights, read_config, read_weights
from CardiacLib.networks.model_store import WeightsSource, clear, fetch, import_file, weights_source
from CardiacLib.networks.onnx_files import onnx_problem
from cineheart.cli import main
from cineheart.commands.networks import bundle_commands

NAME = "ventricular_short_axis_3label"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(11)
    return read_config(bundle_path(NAME), "inference").get_parsed_content("network_def").eval()


@pytest.fixture(scope="module")
def published(network, tmp_path_factory):
    """A file of random weights in the form of the published one: a bare state dictionary."""
    path = tmp_path_factory.mktemp("published") / "model.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CINEHEART_BUNDLES", str(tmp_path / "cache"))
    return tmp_path / "cache"


def same(found, network) -> bool:
    wanted = network.state_dict()
    return list(found) == list(wanted) and all(torch.equal(found[key], wanted[key]) for key in wanted)


FORMS = {
    "bare": lambda state: state,
    "under model": lambda state: {"model": state},
    "under net, beside an optimiser": lambda state: {"optimizer": {"lr": 1e-3}, "net": state},
    "under state_dict": lambda state: {"epoch": 7, "state_dict": state},
    "of a parallel run": lambda state: {f"module.{key}": value for key, value in state.items()},
    "of a parallel run, under net": lambda state: {"net": {f"module.{key}": value for key, value in state.items()}},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_checkpoint(form, network, tmp_path):
    torch.save(FORMS[form](network.state_dict()), tmp_path / "weights.pt")
    assert same(read_weights(tmp_path / "weights.pt"), network)


def test_half_precision_becomes_float32(network, tmp_path):
    torch.save({key: value.half() for key, value in network.state_dict().items()}, tmp_path / "weights.pt")
    found = read_weights(tmp_path / "weights.pt")
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert all(torch.equal(found[key], value.half().float()) for key, value in network.state_dict().items())


@pytest.fixture(scope="module")
def torchscript(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("torchscript") / "model.ts"
    torch.jit.trace(network, torch.zeros(1, 1, 64, 64)).save(str(path))
    return path


def test_trusted_torchscript_under_its_own_name(network, torchscript, tmp_path):
    assert same(read_weights(torchscript, trust=True), network)
    (tmp_path / "renamed.pt").write_bytes(torchscript.read_bytes())
    for path, trust in ((torchscript, False), (tmp_path / "renamed.pt", False), (tmp_path / "renamed.pt", True)):
        with pytest.raises(InputError, match="program"):
            read_weights(path, trust)


BAD_FILES = {
    "web page": lambda path, good: path.write_text("<html>quota exceeded</html>"),
    "empty": lambda path, good: path.write_bytes(b""),
    "truncated": lambda path, good: path.write_bytes(good.read_bytes()[:100_000]),
    "whole network, not its tensors": lambda path, good: torch.save(torch.nn.PReLU(), path),
    "list": lambda path, good: torch.save([1, 2], path),
    "empty dictionary": lambda path, good: torch.save({}, path),
    "missing": lambda path, good: None,
}


@pytest.mark.parametrize("bad", BAD_FILES)
def test_what_is_no_weights_file_gets_one_sentence(bad, published, tmp_path):
    BAD_FILES[bad](tmp_path / "weights.pt", published)
    with pytest.raises(InputError, match=r"weights\.pt: ") as caught:
        read_weights(tmp_path / "weights.pt")
    assert str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_weights_load_strictly(change, network, tmp_path):
    state = dict(network.state_dict())
    last = list(state)[-1]
    if change == "shape":
        state[last] = torch.zeros(5)
    elif change == "missing":
        del state[last]
    else:
        state["extra.weight"] = torch.zeros(2)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"do not belong to this bundle's network; .* 1 tensors, such as"):
        load_weights(network, tmp_path / "weights.pt")


def test_missing_weights_say_how_to_get_them():
    bundle = bundle_path(NAME)
    with pytest.raises(InputError, match=f"bundles fetch {NAME}.*bundles import {NAME} FILE"):
        load_network(bundle, read_config(bundle, "inference"), "cpu")


def test_the_cache_is_the_argument_then_the_variable_then_the_users_own(tmp_path, cache, monkeypatch):
    assert cache_folder(tmp_path / "mine") == tmp_path / "mine"
    assert cache_folder() == cache
    monkeypatch.delenv("CINEHEART_BUNDLES")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr("platformdirs.windows.get_win_folder", lambda name: str(tmp_path / "local"))
    for system, place in (
        (Unix, tmp_path / "home" / ".cache"),
        (MacOS, tmp_path / "home" / "Library" / "Caches"),
        (Windows, tmp_path / "local"),
    ):
        monkeypatch.setattr("platformdirs.PlatformDirs", system)
        assert cache_folder() == place / "cineheart" / "bundles"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("platformdirs.PlatformDirs", Unix)
    assert cache_folder() == tmp_path / "xdg" / "cineheart" / "bundles"


def test_the_cache_is_known_before_packages_are_installed(monkeypatch):
    pytest.importorskip("pip._vendor.platformdirs")
    monkeypatch.delenv("CINEHEART_BUNDLES", raising=False)
    own = cache_folder()
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert cache_folder() == own


@pytest.fixture
def server(published, monkeypatch):
    content = published.read_bytes()
    with Server(content).running() as made:
        entry = model_store.Entry(
            NAME, "0", "a licence", "models/model.pt", (made.url,), "https://x", hashlib.md5(content).hexdigest()
        )
        for module in (model_store, bundle_commands):
            monkeypatch.setattr(module, "manifest", lambda: {NAME: entry})
        yield made


def test_fetch(server, network, cache):
    seen = []
    weights = fetch(NAME, progress=lambda fraction, message: seen.append(fraction))
    assert weights == cache / NAME / "models" / "model.pt"
    assert same(read_weights(weights), network)
    assert seen == sorted(seen) and seen[-1] == 0.9
    source = weights_source(NAME)
    assert source.state == "fetched" and source.published and source.origin == server.url
    assert [p.name for p in cache.iterdir()] == [NAME]
    bundle = bundle_path(NAME)
    assert same(load_network(bundle, read_config(bundle, "inference"), "cpu").state_dict(), network)


def test_a_broken_download_goes_on_where_it_stopped(server, network, cache):
    server.break_after = 1_000_000
    with pytest.raises(InputError, match="the connection ended after 1000000 of"):
        fetch(NAME)
    assert (cache / f".{NAME}.part").stat().st_size == 1_000_000
    server.break_after = None
    assert same(read_weights(fetch(NAME)), network)
    assert server.requests == [None, "bytes=1000000-"]


def test_a_cancelled_download_goes_on_where_it_stopped(server, network):
    def stop(fraction, message):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch(NAME, progress=stop)
    assert weights_source(NAME).state == "missing"
    assert same(read_weights(fetch(NAME)), network)
    assert server.requests[1].startswith("bytes=")


def test_a_server_without_ranges_starts_again(server, network, cache):
    server.break_after = 1_000_000
    with pytest.raises(InputError):
        fetch(NAME)
    server.break_after, server.ranges = None, False
    assert same(read_weights(fetch(NAME)), network)


@pytest.mark.parametrize("size", [500_000, 7_000_000])
def test_a_wrong_beginning_is_thrown_away(server, network, cache, size):
    cache.mkdir()
    (cache / f".{NAME}.part").write_bytes(bytes(size))
    assert same(read_weights(fetch(NAME)), network)
    assert server.requests == [f"bytes={size}-", None]


def test_a_wrong_file_is_not_kept(server, cache):
    server.content = b"x" * 1000
    with pytest.raises(InputError, match=r"not the published one, md5 .* instead of"):
        fetch(NAME)
    assert list(cache.iterdir()) == []


def test_a_web_page_is_not_taken_for_weights(server, cache):
    server.page = True
    with pytest.raises(InputError, match=r"web page instead of the file.*bundles import"):
        fetch(NAME)
    assert list(cache.iterdir()) == []


def test_the_next_url_is_tried(server, network, monkeypatch):
    entry = model_store.manifest()[NAME]
    dead = "http://127.0.0.1:9/model.pt"
    both = model_store.Entry(NAME, "0", "a licence", "models/model.pt", (dead, server.url), "https://x", entry.md5)
    monkeypatch.setattr(model_store, "manifest", lambda: {NAME: both})
    assert same(read_weights(fetch(NAME)), network)


def test_the_manifest_describes_known_bundles_with_a_checksum():
    for name, entry in model_store.manifest().items():
        assert bundle_path(name).name == name
        assert entry.md5 or entry.sha256
        assert entry.licence and all(url.startswith("https://") for url in entry.urls)


@pytest.mark.slow
def test_import_of_each_kind_of_file(published, torchscript, network, tmp_path):
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.write(published, f"{NAME}/models/model.pt")
        archive.writestr(f"{NAME}/configs/inference.json", '{"imports": ["$import os"]}')
    for file in (published, torchscript, tmp_path / "bundle.zip"):
        assert same(read_weights(import_file(NAME, file, trust=file == torchscript)), network)
        found = weights_source(NAME)
        assert found == WeightsSource(state="imported", origin=file.name, sha256=found.sha256, published=False)
        written = json.loads((cache_folder() / NAME / "source.json").read_text(encoding="utf-8"))
        record = written.pop("onnx")
        assert written == {"state": "imported", "from": file.name, "sha256": found.sha256, "published": False}
        assert record["opset"] == 17 and onnx_problem(bundle_path(NAME)) == ""
        assert clear(NAME) > 6e6
        assert weights_source(NAME).state == "missing"


def test_a_zip_writes_nowhere_else(published, network, tmp_path):
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "bundle.zip", "w") as archive:
        archive.write(published, "../../models/model.pt")
        archive.writestr("../../evil.txt", "evil")
        archive.writestr("/evil.txt", "evil")
    assert same(read_weights(import_file(NAME, folder / "bundle.zip")), network)
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {
        "bundle.zip",
        "model.onnx",
        "model.pt",
        "source.json",
    }


def test_a_refused_import_keeps_what_was_there(published, network, tmp_path):
    weights = import_file(NAME, published)
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "no weights")
    with zipfile.ZipFile(tmp_path / "damaged.zip", "w") as archive:
        archive.write(published, "models/model.pt")
    packed = bytearray((tmp_path / "damaged.zip").read_bytes())
    packed[1_000_000:1_000_100] = bytes(100)
    (tmp_path / "damaged.zip").write_bytes(packed)
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "other.pt")
    refusals = {
        "empty.zip": "no models/model.pt",
        "damaged.zip": "cannot be unpacked",
        "other.pt": "do not belong",
        "none.pt": "no such file",
    }
    for file, reason in refusals.items():
        with pytest.raises(InputError, match=reason):
            import_file(NAME, tmp_path / file)
    assert same(read_weights(weights), network)


def test_shipped_weights_stay(published):
    for action in (fetch, clear, lambda name: import_file(name, published)):
        with pytest.raises(InputError, match="shipped with CineHeart"):
            action("cineheart_sax")
    assert (bundle_path("cineheart_sax") / "models" / "model.pt").is_file()


@pytest.mark.slow
def test_the_commands(published, torchscript, server, capsys):
    def run(*arguments) -> dict:
        assert main(["bundles", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert run("list")[NAME]["weights"] == "missing"
    assert "a licence" in run("fetch", NAME)["licence"]
    listed = run("list")
    assert listed[NAME]["weights"] == "fetched" and "MIT" in listed[NAME]["licence"] and listed[NAME]["size_mb"] > 6
    assert listed["cineheart_sax"]["weights"] == "shipped" and listed["cineheart_sax"]["mean_dice"] > 0.9
    assert run("clear", NAME)["freed_mb"] > 6
    run("import", NAME, str(torchscript), "--trust")
    assert "not the published file" in run("list")[NAME]["licence"]
    assert main(["bundles", "fetch", "nothing"]) == 2
    assert main(["bundles", "import", NAME, "none.pt"]) == 2
    assert all(line.startswith("cineheart: ") for line in capsys.readouterr().err.splitlines())
