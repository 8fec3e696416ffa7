"""Model files run nothing unasked: TorchScript, foreign bundles with expressions or classes, and odd weights."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path, config_value, load_network, load_weights, read_config, read_weights
from CardiacLib.networks.model_store import import_file, weights_source
from CardiacLib.networks.opened import open_network, runner_of
from CardiacLib.networks.trust import familiar_packages, is_copy_of_shipped
from CardiacLib.types.choices import NetworkChoice, RunsOn
from cineheart.cli import main

NAME = "ventricular_short_axis_3label"
NETWORK = {
    "_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 4, "channels": [4, 8], "strides": [2],
}  # fmt: skip


class Marks(torch.nn.Module):
    """Writes a file when TorchScript gives it its state."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path
        self.register_buffer("b", torch.zeros(1))

    @torch.jit.export
    def __getstate__(self):
        return (self.b, self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]):
        file = torch.from_file(state[1], True, 4, dtype=torch.uint8)
        file.fill_(72)
        self.b = file
        self.path = state[1]
        self.training = state[2]

    def forward(self, x):
        return x


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CINEHEART_BUNDLES", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "MARKER"


@pytest.fixture
def evil(tmp_path, marker):
    path = tmp_path / "evil.ts"
    torch.jit.save(torch.jit.script(Marks(str(marker))), str(path))
    marker.unlink(missing_ok=True)
    return path


@pytest.mark.parametrize("name", ["evil.pt", "evil.pth", "weights", "model.PT", "a.zip"])
def test_torchscript_under_another_name_is_never_read(name, evil, marker, tmp_path, cache):
    shutil.copy(evil, tmp_path / name)
    for trust in (False, True):
        with pytest.raises(InputError, match=r"nothing of a weights file is run"):
            import_file(NAME, tmp_path / name, trust=trust)
    assert not marker.exists() and weights_source(NAME).state == "missing"


def test_a_ts_is_read_only_when_trusted(evil, marker, capsys):
    assert main(["bundles", "import", NAME, str(evil)]) == 2
    assert "--trust" in capsys.readouterr().err and not marker.exists()
    assert main(["bundles", "import", NAME, str(evil), "--trust"]) == 2  # another network
    assert "do not belong" in capsys.readouterr().err and marker.exists()


@pytest.mark.parametrize("inside", ["models/model.pt", "models/model.ts"])
def test_torchscript_in_a_bundles_zip(inside, evil, marker, tmp_path):
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.write(evil, f"bundle/{inside}")
    with pytest.raises(InputError, match="program"):
        import_file(NAME, tmp_path / "bundle.zip")
    assert not marker.exists()


def test_an_archive_with_python_is_not_read(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt", "a") as archive:
        archive.writestr("w/code/__torch__.py", "raise SystemExit")
    with pytest.raises(InputError, match="archive with code"):
        read_weights(tmp_path / "w.pt")


def test_the_weights_in_a_folder_bundle_run_nothing_either(evil, marker, bundle):
    shutil.copy(evil, bundle / "models" / "model.pt")
    with pytest.raises(InputError, match="nothing of a weights file is run"):
        open_network(NetworkChoice(str(bundle), RunsOn("cpu"), trust=True))
    assert not marker.exists()


def spoilt(change):
    """A state dictionary whose first floating-point tensor is changed."""
    network = read_config(bundle_path(NAME), "inference").get_parsed_content("network_def")
    state = dict(network.state_dict())
    key = next(key for key, value in state.items() if value.dim() > 1)
    return state | {key: change(state[key])}


ODD = {
    "NaN": (lambda w: w.index_fill(0, torch.tensor(0), float("nan")), "no finite numbers"),
    "infinite": (lambda w: w.index_fill(0, torch.tensor(0), float("inf")), "no finite numbers"),
    "beyond float32": (lambda w: w.double() + 1e300, "no finite numbers"),
    "integer": (lambda w: w.to(torch.int32), "int32 numbers"),
    "boolean": (lambda w: w > 0, "bool numbers"),
    "complex": (lambda w: w.to(torch.complex64), "is complex"),
    "sparse": (lambda w: w.to_sparse(), "is sparse"),
    "sparse rows": (lambda w: w.flatten(1).to_sparse_csr(), "is sparse"),
    "quantised": (lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8), "is quantised"),
    "no values": (lambda w: torch.empty_like(w, device="meta"), "is without values"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ODD)
def test_odd_weights_are_named_and_not_installed(kind, tmp_path, cache):
    change, reason = ODD[kind]
    torch.save(spoilt(change), tmp_path / "w.pt")
    with pytest.raises(InputError, match=reason) as caught:
        import_file(NAME, tmp_path / "w.pt")
    assert "\n" not in str(caught.value) and weights_source(NAME).state == "missing" and not list(cache.rglob("*.pt"))


@pytest.mark.parametrize("content", [{1: torch.zeros(2)}, {"a": "text"}, torch.zeros(3), None])
def test_what_holds_no_weights(content, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match="holds no network weights"):
        read_weights(tmp_path / "w.pt")


@pytest.fixture
def bundle(tmp_path):
    """A foreign bundle of plain MONAI classes."""
    folder = tmp_path / "mine"
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    write(folder, "metadata", {"version": "1", "task": "t", "copyright": "c"})
    write(folder, "inference", {"network_def": NETWORK, "inferer": {"_target_": "SimpleInferer"}})
    torch.manual_seed(0)
    network = read_config(folder, "inference").get_parsed_content("network_def")
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return folder


def write(folder: Path, name: str, document: object) -> None:
    (folder / "configs" / f"{name}.json").write_text(json.dumps(document))


def test_classes_of_monai_and_torch_need_no_trust(bundle):
    write(bundle, "inference", {
        "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3},
        "inferer": {"_target_": "monai.inferers.SimpleInferer"},
        "dataset": {"_target_": "Dataset", "data": []},
        "device": {"_target_": "torch.device", "type": "cpu"},
    })  # fmt: skip
    network = read_config(bundle, "inference").get_parsed_content("network_def")
    assert isinstance(network, torch.nn.Conv2d)


RUN = "__import__('pathlib').Path('{marker}').touch()"
FOREIGN = {
    "an expression": {"network_def": "$" + RUN},
    "an expression deep inside": {"network_def": NETWORK, "more": [{"a": ["$" + RUN]}]},
    "an import": {"network_def": NETWORK, "imports": ["$import antigravity"]},
    "a function": {"network_def": {"_target_": "os.system", "command": "touch {marker}"}},
    "a builtin": {"network_def": {"_target_": "eval", "source": RUN}},
    "a module that torch imports": {"network_def": {"_target_": "torch.os.system", "command": "touch {marker}"}},
    "a function of torch": {"network_def": {"_target_": "torch.load", "f": "x.pt", "weights_only": False}},
    "a downloader": {"data": {"_target_": "monai.apps.MedNISTDataset", "root_dir": ".", "section": "test"}},
    "a class of its own": {"network_def": {"_target_": "scripts.net.Net"}},
    "a class by reference": {"bad": "os.system", "network_def": {"_target_": "@bad", "command": "touch {marker}"}},
    "another mode": {"network_def": NETWORK | {"_mode_": "debug"}},
    "another file": {"network_def": "%more.json::network_def"},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_configuration_runs_nothing(kind, bundle, marker, monkeypatch):
    monkeypatch.chdir(bundle / "configs")
    (bundle / "configs" / "more.json").write_text(json.dumps({"network_def": "$" + RUN.format(marker=marker)}))
    text = json.dumps(FOREIGN[kind]).replace("{marker}", str(marker))
    (bundle / "configs" / "inference.json").write_text(text)
    with pytest.raises(InputError, match=r"--trust \(trust=True\)") as caught:
        open_network(NetworkChoice(str(bundle), RunsOn("cpu")))
    assert "\n" not in str(caught.value) and not marker.exists()


def test_an_expression_in_the_metadata(bundle, marker):
    write(bundle, "metadata", {"version": "$" + RUN.format(marker=marker)})
    with pytest.raises(InputError, match="Python expressions"):
        read_config(bundle, "inference")


def test_trusted_configurations_are_used(bundle):
    write(bundle, "inference", {"width": 4, "network_def": NETWORK | {"channels": "$[@width, 2 * @width]"}})
    with pytest.raises(InputError, match="trust"):
        open_network(NetworkChoice(str(bundle), RunsOn("cpu")))
    assert open_network(NetworkChoice(str(bundle), RunsOn("cpu"), trust=True)).name == "mine"


@pytest.mark.slow
def test_every_command_that_names_a_folder_has_the_option(bundle, tmp_path, capsys):
    write(bundle, "inference", {"network_def": "$1"})
    write(bundle, "train", {"trainer": "$1"})
    image = tmp_path / "x.nii.gz"
    commands = {
        "segment": ["segment", str(image), "-o", str(tmp_path / "o"), "--bundle", str(bundle)],
        "train": ["train", str(bundle), "--data", str(tmp_path), "-o", str(tmp_path / "o")],
    }
    from CardiacLib.phantom import PhantomOptions, make_phantom
    from CardiacLib.writers.images import write_cine

    write_cine(image, make_phantom(PhantomOptions.small()).cines["sax"].only([0]))
    for command in commands.values():
        assert main(command) == 2
        assert "--trust" in capsys.readouterr().err
        assert main([*command, "--trust"]) == 2  # it is no network
        assert "--trust" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cineheart_sax", "cineheart_lax_landmarks", "biv_propagation", NAME])
def test_shipped_configurations_and_their_copies_are_trusted(name, tmp_path):
    shutil.copytree(bundle_path(name) / "configs", tmp_path / "copy" / "configs")
    assert is_copy_of_shipped(tmp_path / "copy" / "configs" / "inference.json")
    for folder in (bundle_path(name), tmp_path / "copy"):
        assert read_config(folder, "inference").get_parsed_content("network_def") is not None


BROKEN = {
    "no JSON": ("inference", "{'a': 1,}", "no JSON document"),
    "empty": ("inference", "", "no JSON document"),
    "a list": ("inference", "[1, 2]", "no JSON object"),
    "not text": ("inference", b"\xff\xfe\x00", "no JSON document"),
    "metadata": ("metadata", "{", "no JSON document"),
    "nested without end": ("inference", "[" * 100_000, "no JSON document"),
    "no network": ("inference", "{}", "network_def"),
    "a network that is none": ("inference", '{"network_def": 7}', "is no network"),
    "wrong arguments": ("inference", '{"network_def": {"_target_": "UNet", "wings": 2}}', "cannot be made"),
    "unknown macro": ("inference", '{"network_def": "%nothing.json"}', "MONAI configuration"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_bundle_gets_one_sentence(kind, bundle):
    name, content, reason = BROKEN[kind]
    path = bundle / "configs" / f"{name}.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=reason) as caught:
        load_network(bundle, read_config(bundle, "inference"), "cpu")
    assert "\n" not in str(caught.value)


def test_the_familiar_packages():
    own = {"CardiacLib", "CardiacSegLib", "CardiacLandmarksLib", "BiVMeshLib"}
    assert familiar_packages() == own | {"monai", "torch"}


def test_a_missing_class_gets_one_sentence(bundle):
    write(bundle, "inference", {"network_def": {"_target_": "monai.networks.nets.NoSuchNet"}})
    for trust in (False, True):
        with pytest.raises(InputError) as caught:
            load_network(bundle, read_config(bundle, "inference", trust), "cpu")
        assert "NoSuchNet" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_value_gets_one_sentence(bundle):
    with pytest.raises(InputError, match=r"'pixel_mm' .* cannot be made"):
        config_value(bundle, read_config(bundle, "inference"), "pixel_mm")


def test_a_runner_is_a_class_of_the_library(bundle):
    write(bundle, "metadata", {"version": "1", "runner": "CardiacSegLib.segment.segmenter.runner_of"})
    with pytest.raises(InputError, match="is no class of CardiacSegLib"):
        runner_of(NetworkChoice(str(bundle)), "CardiacSegLib", "")


def test_a_damaged_source_says_how_to_mend(cache):
    (cache / NAME).mkdir(parents=True)
    (cache / NAME / "source.json").write_text("{")
    with pytest.raises(InputError, match="bundles clear"):
        weights_source(NAME)


def test_weights_load_into_a_network_of_counters(tmp_path):
    network = torch.nn.BatchNorm2d(2)
    torch.save(network.state_dict(), tmp_path / "w.pt")
    load_weights(network, tmp_path / "w.pt")
