"""The wheel of `pip install .`: every package and resource, no tests, and the command line runs from it alone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    "BiVMeshLib": ROOT / "BiVMesh" / "BiVMeshLib",
    "CardiacLandmarksLib": ROOT / "CardiacLandmarks" / "CardiacLandmarksLib",
    "CardiacLib": ROOT / "CardiacSeg" / "CardiacLib",
    "CardiacLib/Resources": ROOT / "Resources",
    "CardiacSegLib": ROOT / "CardiacSeg" / "CardiacSegLib",
    "cineheart": ROOT / "cineheart",
}


def files_below(folder: Path) -> set[str]:
    """Paths of the files below a folder, relative to it, that are of the source."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the tree so that nothing is left behind in it."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    ignored = shutil.ignore_patterns(".*", "build", "demo-output", "*.egg-info", "__pycache__", "Docs", "Testing")
    shutil.copytree(ROOT, copy, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", str(copy), "--wheel-dir", str(folder)]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    made = subprocess.run([*pip, *options], check=False, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_it_holds_every_file_of_the_packages_and_nothing_else(unpacked):
    expected = {f"{name}/{path}" for name, folder in SOURCES.items() for path in files_below(folder)}
    found = {path for path in files_below(unpacked) if ".dist-info/" not in path}
    assert found == expected
    assert {Path(path).parts[0] for path in found} == {name for name in SOURCES if "/" not in name}
    weights = unpacked / "CardiacLib" / "Resources" / "Bundles" / "cineheart_sax" / "models" / "model.pt"
    assert weights.stat().st_size > 1e6


def test_its_command_line_runs_from_it_alone(unpacked, tmp_path):
    """Of CineHeart only the wheel is there: the help, the networks in it, and an error as one sentence."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "CINEHEART_BUNDLES")}
    environment |= {"PYTHONPATH": str(unpacked), "CINEHEART_BUNDLES": str(tmp_path / "cache"), "COLUMNS": "120"}

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-P", *arguments] if sys.version_info >= (3, 11) else [sys.executable, *arguments]
        return subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)

    where = run("-c", "import cineheart, CardiacLib, BiVMeshLib; print(cineheart.__file__, CardiacLib.__file__)")
    assert where.returncode == 0 and where.stdout.count(str(unpacked)) == 2, where.stderr
    helped = run("-m", "cineheart", "--help")
    assert helped.returncode == 0 and "segment" in helped.stdout and "mesh" in helped.stdout, helped.stderr
    listed = run("-m", "cineheart", "bundles", "list")
    assert listed.returncode == 0 and "cineheart_sax" in listed.stdout, listed.stderr
    failed = run("-m", "cineheart", "segment", "missing.nii.gz", "-o", "out")
    assert failed.returncode == 2 and "missing.nii.gz" in failed.stderr and "Traceback" not in failed.stderr


def test_its_entry_point_is_the_command_line(unpacked):
    (points,) = unpacked.glob("*.dist-info/entry_points.txt")
    assert "cineheart = cineheart.__main__:main" in points.read_text(encoding="utf-8")
