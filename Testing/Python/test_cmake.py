"""CMakeLists: every file of the extension is listed, and the folder that Slicer would install works by itself."""

import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEG_MODULES = ("CardiacSeg.py", "CineHeartDICOMPlugin.py")
LISTED = (
    # folder of the CMakeLists.txt, prefix of its two lists, what they must hold
    (ROOT, "SHARED", ("cineheart", "Resources")),
    (ROOT / "CardiacSeg", "MODULE", (*SEG_MODULES, "CardiacLib", "CardiacSegLib", "Resources")),
    (ROOT / "CardiacLandmarks", "MODULE", ("CardiacLandmarks.py", "CardiacLandmarksLib", "Resources")),
    (ROOT / "BiVMesh", "MODULE", ("BiVMesh.py", "BiVMeshLib", "Resources")),
)


def settings(folder: Path) -> dict[str, str]:
    """``set(NAME value)`` commands of a CMakeLists.txt, with ``${...}`` of earlier ones filled in."""
    found = {}
    for name, value in re.findall(r"^set\((\w+)\s+(.*?)\s*\)$", (folder / "CMakeLists.txt").read_text(), re.M | re.S):
        found[name] = re.sub(r"\$\{(\w+)\}", lambda match: found.get(match[1], match[0]), value.strip())
    return found


def listed_files(folder: Path, prefix: str) -> list[str]:
    """All entries of the two lists."""
    stated = settings(folder)
    return [entry for kind in ("SCRIPTS", "RESOURCES") for entry in stated[f"{prefix}_PYTHON_{kind}"].split()]


def present_files(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Files of the tree that belong to the lists; caches and hidden files do not."""
    found = []
    for name in names:
        path = folder / name
        found += [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    relative = [path.relative_to(folder) for path in found]
    kept = [p for p in relative if "__pycache__" not in p.parts and not any(part.startswith(".") for part in p.parts)]
    return [path.as_posix() for path in kept]


@pytest.mark.parametrize(
    ("folder", "prefix", "names"), LISTED, ids=["root", "CardiacSeg", "CardiacLandmarks", "BiVMesh"]
)
def test_lists_are_the_tree(folder, prefix, names):
    listed, present = listed_files(folder, prefix), present_files(folder, names)
    missing, superfluous = sorted(set(present) - set(listed)), sorted(set(listed) - set(present))
    assert not missing and not superfluous, f"{folder / 'CMakeLists.txt'}\nadd:    {missing}\nremove: {superfluous}"
    assert len(listed) == len(set(listed)), "an entry is listed twice"


def test_python_files_are_scripts_and_all_else_is_resources():
    for folder, prefix, _ in LISTED:
        stated = settings(folder)
        scripts, resources = (stated[f"{prefix}_PYTHON_{kind}"].split() for kind in ("SCRIPTS", "RESOURCES"))
        assert all(name.endswith(".py") for name in scripts)
        assert all(not name.endswith(".py") or name.startswith("Resources/") for name in resources)


def test_no_file_of_one_module_overwrites_another_when_installed():
    seen = {}
    for folder, prefix, _ in LISTED:
        for name in listed_files(folder, prefix):
            assert name not in seen, f"{name} comes from {seen[name]} and {folder}"
            seen[name] = folder


def test_extension_metadata():
    stated = settings(ROOT)
    text = (ROOT / "CMakeLists.txt").read_text()
    assert re.search(r"^project\(CineHeart\)$", text, re.M)
    for name in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS", "KEYWORDS"):
        assert re.fullmatch(r'"[^"]+"', stated[f"EXTENSION_{name}"]), f"EXTENSION_{name} must be one quoted string"
    assert stated["EXTENSION_DEPENDS"] == '"PyTorch"'
    for name in ("ICONURL", "SCREENSHOTURLS"):
        for url in stated[f"EXTENSION_{name}"].strip('"').split():
            inside = re.fullmatch(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/main/(.+\.png)", url)
            assert inside and (ROOT / inside[1]).is_file(), f"{url} is no picture of this repository"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder ``qt-scripted-modules`` as the build would make it: all modules and Resources flattened into one."""
    flat = tmp_path_factory.mktemp("installed") / "qt-scripted-modules"
    for folder, prefix, _ in LISTED:
        for name in listed_files(folder, prefix):
            (flat / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, flat / name)
    return flat


def run_installed(installed: Path, code: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run Python code that sees the installed folder and not the source tree."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "QT_QPA_PLATFORM": "offscreen"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=installed.parent,
        check=False,
    )


@pytest.mark.slow
def test_every_installed_python_file_imports_from_there(installed, monkeypatch):
    """In this process, where what they import from elsewhere is there already."""
    ours = ("CardiacLib", "CardiacSegLib", "CardiacLandmarksLib", "BiVMeshLib", "cineheart")
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(installed))
    try:
        for package in ours:
            root = importlib.import_module(package)
            assert root.__file__.startswith(str(installed))
            for info in pkgutil.walk_packages(root.__path__, f"{package}."):
                if not info.name.endswith("__main__"):
                    module = importlib.import_module(info.name)
                    assert module.__spec__.origin.startswith(str(installed))
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
            del sys.modules[name]


def test_installed_resources_are_found_there(installed):
    code = """
import sys
from CardiacLib.types.labels import structures
from CardiacLib.networks.bundles import bundle_names
from CardiacLib.resources import resource_path
assert str(resource_path("CineHeartColors.csv")).startswith(sys.argv[1])
assert len(structures()) == 5 and "cineheart_sax" in bundle_names()
"""
    ended = run_installed(installed, code, str(installed))
    assert ended.returncode == 0, ended.stderr


def test_the_installed_worker_starts(installed):
    """Also where Slicer's own packages are all there is: a job that needs no others runs then."""
    names = ("torch", "monai", "skimage", "nibabel", "nrrd", "matplotlib", "jinja2", "typer", "rich", "openvino")
    code = f"import runpy, sys; sys.modules |= dict.fromkeys({(*names, 'onnxruntime', 'highdicom')})\n"
    ended = run_installed(installed, code + "runpy.run_module('cineheart.worker', run_name='__main__')")
    assert ended.returncode == 2 and "one job file" in ended.stdout, ended.stderr


@pytest.mark.parametrize("module", ["CardiacSeg.py", "BiVMesh.py"])
def test_the_worker_is_found_beside_a_module(installed, tmp_path, module):
    from CardiacLib.errors import InputError
    from CardiacLib.mrml.panel.processes import Worker

    assert Worker.beside(installed / module, "cineheart.worker") == Worker("cineheart.worker", installed)
    source = ROOT / module.removesuffix(".py") / module
    assert Worker.beside(source, "cineheart.worker") == Worker("cineheart.worker", ROOT)
    with pytest.raises(InputError, match=r"no cineheart.worker here"):
        Worker.beside(tmp_path / "alone" / module, "cineheart.worker")


@pytest.mark.slow
def test_installed_panels_open(installed):
    pytest.importorskip("slicer")
    pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    code = """
import sys
sys.path.append(sys.argv[1])
from Testing.SlicerHost import SlicerHost
names = ("CardiacSeg", "CardiacLandmarks", "BiVMesh")
with SlicerHost(*(f"qt-scripted-modules/{name}.py" for name in names)) as host:
    for name in names:
        host.open_panel(name)
"""
    ended = run_installed(installed, code, str(ROOT))
    assert ended.returncode == 0, ended.stderr


def test_installed_run_script_finds_the_command_line(installed):
    script = installed / "Resources" / "Scripts" / "CineHeartRun.py"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, env=environment, check=False
    )
    assert ended.returncode == 0 and "run" in ended.stdout, ended.stderr


def test_run_script_works_from_the_source_tree():
    script = ROOT / "Resources" / "Scripts" / "CineHeartRun.py"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, str(script), "mesh", "does-not-exist.nii.gz", "-o", "unused"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert ended.returncode == 2 and "does-not-exist.nii.gz" in ended.stdout + ended.stderr, ended.stderr
    assert not Path("unused").exists()
