"""Installing Python packages in Slicer: asked once, never without consent, never in place of Slicer's own."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from packaging.requirements import Requirement
from panel_hearts import MODULES, ROOT

slicer = pytest.importorskip("slicer")

from CardiacLib.errors import Cancelled, InputError  # noqa: E402
from CardiacLib.mrml.panel import dependencies  # noqa: E402
from CardiacLib.types.choices import RunsOn  # noqa: E402

TORCH = dependencies.TORCH_REQUIREMENTS


@pytest.fixture
def packages(monkeypatch) -> dict[str, str]:
    """Installed versions by name; a package that is not in the dict counts as not installed."""
    versions = {"numpy": "2.4.6"}

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    return versions


@pytest.fixture
def application(monkeypatch) -> SimpleNamespace:
    """Slicer's application with a main window; ``answers`` to questions, ``asked`` and ``installed`` so far."""
    state = SimpleNamespace(window=object(), testing=False, answer=True, asked=[], installed=[], constraints=[])
    state.arguments = []

    def confirm(text, title=None):
        state.asked.append(text)
        return state.answer

    def pip_install(arguments):
        state.constraints.append(Path(arguments[1]).read_text(encoding="utf-8"))
        state.arguments.append(arguments)
        state.installed += [word for word in arguments[2:] if not word.startswith("-")]

    monkeypatch.setattr(slicer, "app", SimpleNamespace(testingEnabled=lambda: state.testing), raising=False)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: state.window)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", confirm)
    monkeypatch.setattr(slicer.util, "pip_install", pip_install)
    return state


@pytest.fixture
def torch_extension(monkeypatch, packages, application) -> list[dict]:
    """The PyTorch extension; calls of ``installTorch``."""
    calls = []

    class PyTorchUtilsLogic:
        def installTorch(self, **arguments):
            calls.append(arguments)
            if not application.answer:
                return None
            packages["torch"] = "2.9.0+cu128"
            return object()

    module = ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    return calls


@pytest.fixture
def packaging(monkeypatch, application) -> list[tuple]:
    """``slicer.packaging`` as in Slicer 5.12; calls of ``pip_ensure`` with the constraints' text."""
    calls = []

    def pip_ensure(requirements, constraints=None, **options):
        if not application.answer:
            raise RuntimeError("User declined package installation")
        calls.append((requirements, Path(constraints).read_text(encoding="utf-8"), options))

    module = ModuleType("slicer.packaging")
    module.pip_ensure = pip_ensure
    monkeypatch.setitem(sys.modules, "slicer.packaging", module)
    monkeypatch.setattr(slicer, "packaging", module, raising=False)
    return calls


def names(requirements: list[str]) -> set[str]:
    return {Requirement(line).name for line in requirements}


def test_requirements_name_each_package_once_and_only_lower_bounds():
    found = dependencies.requirements()
    assert not names(found) & {"torch", "monai"} and names(found) & {"openvino", "onnxruntime"}
    assert len(names(found)) == len(found)
    assert not any("==" in line for line in found)


def test_requirements_are_the_wheels_without_what_slicer_brings():
    tomllib = pytest.importorskip("tomllib")
    stated = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    brought = {"numpy", "scipy", "SimpleITK", "pydicom", "vtk"}
    applying = [Requirement(line) for line in stated["project"]["dependencies"]]
    wanted = {found.name for found in applying if found.marker is None or found.marker.evaluate()}
    listed = names(dependencies.requirements()) | names(dependencies.command_line_requirements())
    assert listed == wanted - brought


def test_panels_do_without_what_the_command_line_needs():
    assert names(dependencies.command_line_requirements()) == {"matplotlib", "jinja2", "typer", "rich"}
    assert not names(dependencies.requirements()) & names(dependencies.command_line_requirements())


@pytest.mark.parametrize(
    ("runs_on", "asked"),
    [
        (RunsOn(), False),
        (RunsOn("cpu", "openvino"), False),
        (RunsOn("gpu"), False),
        (RunsOn("cuda"), True),
        (RunsOn("cpu", "torch"), True),
    ],
)
def test_torch_is_asked_for_where_it_runs_the_network(runs_on, asked):
    assert names(list(dependencies.torch_requirements(runs_on))) == ({"torch", "monai"} if asked else set())


def test_nothing_is_asked_when_all_is_there(packages, application, torch_extension):
    packages.update(dict.fromkeys(names(dependencies.requirements()), "9999"))
    dependencies.ensure_dependencies("CardiacSeg")
    assert not application.asked and not torch_extension


def test_too_old_packages_count_as_missing(packages):
    packages["scikit-image"] = "0.19"
    assert any(line.startswith("scikit-image") for line in dependencies.missing_requirements())
    packages["torch"] = "1.13"
    assert "torch>=2.4.1" in dependencies.missing_requirements(TORCH)


def test_slicer_5_12_installs_by_slicer_packaging(packages, torch_extension, packaging):
    dependencies.ensure_dependencies("CardiacSeg", optional=TORCH)
    assert torch_extension == [{"askConfirmation": False, "torchVersionRequirement": ">=2.4.1"}]
    requirements, constraints, options = packaging[0]
    assert names(requirements) == names(dependencies.requirements()) | {"monai"}
    assert "torch==2.9.0+cu128" in constraints and "numpy==2.4.6" in constraints
    assert not options["prompt_install"] and options["prompt_restart"] and options["requester"] == "CardiacSeg"


def test_there_is_one_question_and_it_names_size_and_reason(packages, application, torch_extension, packaging):
    """For PyTorch and all else together; nothing else asks."""
    dependencies.ensure_dependencies("CardiacSeg", optional=(*TORCH, "highdicom>=0.27"))
    (question,) = application.asked
    assert "scikit-image (about 14 MB): shapes and distances" in question and "torch (about 900 MB)" in question
    assert "highdicom (about 1 MB): DICOM segmentations" in question and "CardiacSeg needs" in question
    rows = [line for line in question.splitlines() if line.startswith("- ")]
    sizes = [int(row.split("about ")[1].split(" MB")[0]) for row in rows]
    assert len(rows) == len(dependencies.requirements()) + 3 and f"About {sum(sizes)} MB" in question
    assert not torch_extension[0]["askConfirmation"] and not packaging[0][2]["prompt_install"]


def test_what_one_worker_needs_beside_the_others_is_asked_for_with_it(packages, application, packaging):
    packages.update(dict.fromkeys(names(dependencies.requirements()), "9999"))
    dependencies.ensure_dependencies("CardiacSeg")
    assert not packaging
    dependencies.ensure_dependencies("CardiacSeg", optional=("highdicom>=0.27",))
    assert packaging[0][0] == ["highdicom>=0.27"] and "highdicom" in application.asked[0]
    packages["highdicom"] = "0.27.0"
    dependencies.ensure_dependencies("CardiacSeg", optional=("highdicom>=0.27",))
    assert len(packaging) == 1


def test_the_optional_requirement_is_that_of_the_wheel():
    from CardiacLib.mrml.panel.dicom_export import HIGHDICOM

    tomllib = pytest.importorskip("tomllib")
    stated = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert stated["project"]["optional-dependencies"]["dicom"] == [HIGHDICOM]


def test_slicer_5_10_asks_and_installs_by_slicer_util(packages, application, torch_extension, monkeypatch):
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    dependencies.ensure_dependencies("CardiacSeg")
    assert len(application.asked) == 1 and "nibabel" in application.asked[0]
    assert names(application.installed) == names(dependencies.requirements()) and not torch_extension
    assert "numpy==2.4.6" in application.constraints[0]


@pytest.mark.parametrize("has_packaging", [True, False])
def test_no_means_no(packages, application, torch_extension, packaging, monkeypatch, has_packaging):
    application.answer = False
    if not has_packaging:
        monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    with pytest.raises(Cancelled):
        dependencies.ensure_dependencies("CardiacSeg")
    assert not application.installed and not packaging


def test_declining_torch_stops_before_anything_else(packages, application, torch_extension, packaging):
    application.answer = False
    with pytest.raises(Cancelled, match="not installed"):
        dependencies.ensure_dependencies("CardiacSeg", optional=TORCH)
    assert not packaging and not torch_extension


def test_missing_torch_extension_is_one_sentence(packages, application, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(InputError, match="Extensions Manager"):
        dependencies.ensure_dependencies("CardiacSeg", optional=TORCH)


@pytest.mark.parametrize("change", [{"window": None}, {"testing": True}], ids=["no window", "testing"])
def test_without_a_window_nothing_is_asked_or_installed(packages, application, torch_extension, packaging, change):
    vars(application).update(change)
    with pytest.raises(InputError, match=r"nibabel.*install=True"):
        dependencies.ensure_dependencies("CardiacSeg")
    assert not application.asked and not torch_extension and not packaging


def test_headless_flag_installs_without_questions(packages, application, torch_extension, packaging):
    application.window = None
    dependencies.ensure_dependencies("CardiacSeg", install=True, optional=TORCH)
    assert torch_extension[0]["askConfirmation"] is False
    assert not packaging[0][2]["prompt_install"] and not packaging[0][2]["prompt_restart"]
    assert packaging[0][2]["skip_in_testing"] is False


def test_outside_slicer_the_sentence_names_pip(packages):
    with pytest.raises(InputError, match="install them with pip"):
        dependencies.ensure_dependencies("CardiacSeg")


WHEELS = {"openvino": "2026.4.1", "scikit-image": "0.26.0", "nibabel": "5.4", "pynrrd": "1.1.3"}
WHEELS |= {"matplotlib": "3.11", "jinja2": "3.1.6", "typer": "0.29", "rich": "15.0", "platformdirs": "4.14.8"}


def write_wheel(folder: Path, name: str, version: str) -> None:
    """A wheel that holds nothing but its name and version."""
    stem = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        texts = {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        for file, text in texts.items():
            wheel.writestr(f"{stem}.dist-info/{file}", text)
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


@pytest.fixture
def wheels(tmp_path) -> Path:
    """A folder of wheels of all that the requirements name."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, version in WHEELS.items():
        write_wheel(folder, name, version)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("given", ["argument", "environment"])
def test_a_folder_of_wheels_serves_without_a_network(
    wheels, tmp_path, packages, application, torch_extension, packaging, monkeypatch, given
):
    site = tmp_path / "site"

    def pip_install(arguments):
        """What Slicer runs, into a folder of its own and with a proxy that leads nowhere."""
        dead = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), *arguments]
        subprocess.run(command, check=True, env=dead)
        packages.update((found.name, found.version) for found in importlib.metadata.distributions(path=[str(site)]))

    monkeypatch.setattr(slicer.util, "pip_install", pip_install)
    if given == "environment":
        monkeypatch.setenv(dependencies.WHEELS_VARIABLE, str(wheels))
    more = dependencies.command_line_requirements()
    dependencies.ensure_dependencies("CardiacSeg", wheels=wheels if given == "argument" else None, optional=more)
    assert len(application.asked) == 1
    assert not torch_extension and not packaging  # both would need a network
    assert not dependencies.missing_requirements()
    assert {name: packages[name] for name in WHEELS} == WHEELS


def test_offline_install_asks_and_takes_no_for_an_answer(wheels, packages, application):
    application.answer = False
    with pytest.raises(Cancelled):
        dependencies.ensure_dependencies("CardiacSeg", wheels=wheels)
    application.window = None
    dependencies.ensure_dependencies("CardiacSeg", install=True, wheels=wheels)
    assert application.arguments[0][2:5] == ["--no-index", "--find-links", str(wheels)]
    assert len(application.asked) == 1


def test_a_folder_of_wheels_that_is_not_there_is_one_sentence(packages, application, tmp_path):
    with pytest.raises(InputError, match="no such folder of wheels"):
        dependencies.ensure_dependencies("CardiacSeg", install=True, wheels=tmp_path / "none")
    assert not application.installed


def test_the_script_of_the_command_line_names_or_installs_what_it_needs(packages, application, packaging, monkeypatch):
    """Without a window nothing is asked; the flag is no argument of the command line."""
    path = Path(__file__).resolve().parents[2] / "Resources" / "Scripts" / "CineHeartRun.py"
    spec = importlib.util.spec_from_file_location("CineHeartRun", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    packages.update(dict.fromkeys(names(dependencies.requirements()), "9999"))
    application.window = None
    assert script.run(["--version"]) == 2 and not packaging
    ran = []
    monkeypatch.setattr("cineheart.cli.main", lambda arguments: ran.append(arguments) or 0)
    assert script.run(["--install-packages", "--version"]) == 0 and ran == [["--version"]]
    assert names(packaging[0][0]) == names(dependencies.command_line_requirements()) and not application.asked


@pytest.mark.slow
def test_panels_open_without_the_packages_of_the_workers():
    """Modules load in a Slicer that has neither torch nor monai nor scikit-image: nothing of it at file scope."""
    pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    code = """
import sys
for name in ("torch", "monai", "skimage", "matplotlib", "typer", "jinja2", "rich"):
    sys.modules[name] = None
from Testing.SlicerHost import SlicerHost
with SlicerHost(*sys.argv[1:]) as host:
    for name in ("CardiacSeg", "BiVMesh"):
        host.open_panel(name)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *map(str, MODULES)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
