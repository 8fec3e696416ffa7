"""What the Slicer Extensions Index checks: its entry, the metadata, the module files, and the review page."""

import ast
import json
import os
import re
import subprocess
import sys

import pytest
from test_cmake import ROOT, settings

ENTRY = ROOT / "Docs" / "CineHeart.json"
MODULE_FILES = [ROOT / name / f"{name}.py" for name in ("CardiacSeg", "CardiacLandmarks", "BiVMesh")]
SCHEMA_KEYS = {"$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies", "build_subdirectory"}
SCHEMA_KEYS |= {"dicom_support_rule", "enabled", "tier"}
"""Of slicer-extension-catalog-entry-schema-v1.0.2.json, which allows no others."""
ALLOWED = set(sys.stdlib_module_names) | {"slicer", "qt", "ctk", "vtk", "SimpleITK", "numpy", "scipy"}


def test_entry_of_the_index():
    entry = json.loads(ENTRY.read_text(encoding="utf-8"))
    assert set(entry) <= SCHEMA_KEYS and b"\r" not in ENTRY.read_bytes()
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    project = re.search(r"^project\((\w+)\)$", (ROOT / "CMakeLists.txt").read_text(), re.M)[1]
    assert ENTRY.stem == project and entry["category"] == "Cardiac" and entry["tier"] == 1
    assert entry["build_dependencies"] == settings(ROOT)["EXTENSION_DEPENDS"].strip('"').split()
    assert entry["scm_url"] == settings(ROOT)["EXTENSION_HOMEPAGE"].strip('"') + ".git"
    assert entry["scm_url"].endswith(f"/Slicer{project}.git")
    assert (ROOT / "LICENSE.txt").is_file()


def test_urls_are_of_one_repository():
    stated, entry = settings(ROOT), json.loads(ENTRY.read_text(encoding="utf-8"))
    place = entry["scm_url"].removeprefix("https://github.com/").removesuffix(".git")
    for name in ("ICONURL", "SCREENSHOTURLS"):
        for url in stated[f"EXTENSION_{name}"].strip('"').split():
            assert url.startswith(f"https://raw.githubusercontent.com/{place}/{entry['scm_revision']}/")
    for file in ("pyproject.toml", "CITATION.cff"):
        assert f"https://github.com/{place}" in (ROOT / file).read_text(encoding="utf-8")


def test_the_version_is_one():
    import CardiacLib
    import cineheart

    assert cineheart.__version__ == CardiacLib.__version__
    assert f'version = "{CardiacLib.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f"version: {CardiacLib.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_metadata_is_one_quoted_string_as_the_index_reads_it():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for name in ("EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"):
        assert re.search(rf'set\s*\({name}\s*"([^"]+)"\)', text)
    description = settings(ROOT)["EXTENSION_DESCRIPTION"]
    assert description.count(". ") == 1 and len(description) < 300


@pytest.mark.parametrize("path", MODULE_FILES, ids=lambda path: path.stem)
def test_module_files_only_import_and_define(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
            # The shared types come with the extension and load numpy alone: defaults of a panel stand there once.
            foreign = [name for name in names if not name.startswith("CardiacLib.types.")]
            assert {name.split(".")[0] for name in foreign} <= ALLOWED
        elif isinstance(node, ast.Assign):
            assert not any(isinstance(part, ast.Call) for part in ast.walk(node.value))
        elif isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant)
        else:
            assert isinstance(node, ast.ClassDef | ast.FunctionDef)


def test_the_types_that_module_files_import_load_numpy_alone():
    stated = {
        node.module
        for path in MODULE_FILES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("CardiacLib")
    }
    code = (
        "import sys, importlib; [importlib.import_module(name) for name in sys.argv[1:]]; "
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *sorted(stated)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "CardiacSeg")},
    )
    heavy = {"torch", "monai", "scipy", "skimage", "vtk", "SimpleITK", "matplotlib", "pydicom", "nibabel", "openvino"}
    assert stated and not heavy & set(ended.stdout.split())


@pytest.mark.slow
def test_opening_the_panels_imports_nothing_else():
    pytest.importorskip("slicer")
    pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    code = """
import importlib.metadata, sys
import slicer.util, PySide6.QtWidgets, PySide6.QtUiTools
from Testing.SlicerHost import SlicerHost
with SlicerHost(*sys.argv[1:]) as host:
    for name in ("CardiacSeg", "CardiacLandmarks", "BiVMesh"):
        host.open_panel(name)
    loaded = {name.split(".")[0] for name in sys.modules}
owners = importlib.metadata.packages_distributions()
print(*sorted({owner for name in loaded for owner in owners.get(name, ())}))
"""
    folders = [str(ROOT), *(str(path.parent) for path in MODULE_FILES)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", code, *map(str, MODULE_FILES)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    host = {
        "slicer-core",
        "slicer-layer-dm",
        "vtk",
        "pyside6_essentials",
        "shiboken6",
        "cineheart",
        "setuptools",
        "pip",
    }
    assert set(ended.stdout.lower().split()) - host <= {"simpleitk", "numpy", "scipy", "packaging"}


def test_readme_has_what_the_index_asks_for():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"!\[.+\]\(Docs/images/.+\.png\)", text) and "Cite CineHeart" in text
    for path in MODULE_FILES:
        assert re.search(rf"^\| \*\*{path.stem}\*\* \| .{{40,}} \|$", text, re.M), path.stem
    assert "Docs/Tutorial.md" in text


def test_the_review_page_answers_every_question():
    text = (ROOT / "Docs" / "REVIEW.md").read_text(encoding="utf-8")
    answers = re.search(r"\| question \| answer \|\n\|---\|---\|\n((?:\|.+\|\n)+)", text)[1].splitlines()
    assert len(answers) == 11 and all(len(row.split("|")[2]) > 20 for row in answers)


def test_tracked_files_are_small_enough():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    sizes = [(ROOT / name).stat().st_size for name in listed.stdout.decode().split("\0") if (ROOT / name).is_file()]
    assert sum(sizes) < 64e6  # six networks, each as PyTorch and as ONNX, are 54e6 of them
