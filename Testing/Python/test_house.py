"""Rules of the house: imports point upwards only, nothing heavy at file scope, files stay small."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "CardiacLib": ROOT / "CardiacSeg" / "CardiacLib",
    "CardiacSegLib": ROOT / "CardiacSeg" / "CardiacSegLib",
    "CardiacLandmarksLib": ROOT / "CardiacLandmarks" / "CardiacLandmarksLib",
    "BiVMeshLib": ROOT / "BiVMesh" / "BiVMeshLib",
    "cineheart": ROOT / "cineheart",
}
MAY_IMPORT = {
    "CardiacLib": set(),
    "CardiacSegLib": {"CardiacLib"},
    "CardiacLandmarksLib": {"CardiacLib"},
    "BiVMeshLib": {"CardiacLib"},
    "cineheart": {"CardiacLib", "CardiacSegLib", "CardiacLandmarksLib", "BiVMeshLib"},
}
SOURCES = [(name, path) for name, folder in PACKAGES.items() for path in sorted(folder.rglob("*.py"))]


@cache
def tree_of(path: Path) -> ast.Module:
    """A file as Python reads it, once for all rules."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.AST, nodes=ast.walk) -> set[str]:
    """Top-level names that a module imports absolutely, anywhere in the file, or in some of its nodes."""
    names = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    ("package", "path"), SOURCES, ids=lambda v: v if isinstance(v, str) else f"{v.parent.name}/{v.name}"
)
def test_imports_point_upwards(package, path):
    names = imported(tree_of(path))
    assert names & set(PACKAGES) <= MAY_IMPORT[package] | {package}
    if "slicer" in names or "qt" in names:
        assert "mrml" in path.parts


def outside_functions(tree: ast.AST):
    """Nodes of a module that are executed when it is imported."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            yield node
            yield from outside_functions(node)


def module_name(package: str, path: Path) -> str:
    parts = (package, *path.relative_to(PACKAGES[package]).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(package, path): path for package, path in SOURCES}


def imported_modules(name: str, path: Path, nodes=ast.walk) -> set[str]:
    """Modules of the house that a module imports, anywhere in the file or in some of its nodes, and those packages that
    this loads first."""
    own = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in nodes(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module if not node.level else ".".join(filter(None, (own, node.module)))
            full = {f"{module}.{alias.name}" for alias in node.names}
            found |= full & set(MODULES) or {module}
    for module in list(found):
        parents = [module.rsplit(".", n)[0] for n in range(1, module.count(".") + 1)]
        found |= {parent for parent in parents if not f"{name}.".startswith(f"{parent}.")}
    return found & set(MODULES) - {name}


@pytest.mark.slow
def test_a_relative_import_stays_in_its_folder():
    for _, path in SOURCES:
        nodes = ast.walk(tree_of(path))
        assert all(node.level <= 1 for node in nodes if isinstance(node, ast.ImportFrom)), path


@pytest.mark.slow
def test_no_module_imports_itself_by_way_of_others():
    left = {name: imported_modules(name, path) for name, path in MODULES.items()}
    while free := [name for name, needs in left.items() if not needs & set(left)]:
        for name in free:
            del left[name]
    assert not left, f"circles among {sorted(left)}"


def test_a_folder_is_a_room_and_not_a_hall():
    folders = [path.parent for _, path in SOURCES]
    assert {folder.name: folders.count(folder) for folder in set(folders) if folders.count(folder) > 15} == {}


@pytest.mark.slow
def test_files_and_functions_stay_small():
    too_long = []
    for _, path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 500:
            too_long.append(path.name)
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 60:
                too_long.append(f"{path.name}:{node.name}")
    assert not too_long


def test_importing_the_libraries_loads_nothing_heavy():
    code = (
        "import sys, CardiacLib, CardiacSegLib, CardiacLandmarksLib, BiVMeshLib, CardiacLib.readers, cineheart.worker; "
        "heavy = 'torch monai skimage slicer vtk vtkmodules matplotlib SimpleITK scipy.sparse scipy.spatial '; "
        "heavy += 'scipy.interpolate scipy.optimize scipy.stats'; "
        "print([m for m in heavy.split() if m in sys.modules])"
    )
    paths = [str(ROOT), str(ROOT / "CardiacSeg"), str(ROOT / "CardiacLandmarks"), str(ROOT / "BiVMesh")]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}; {code}"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.slow
def test_what_a_study_goes_through_imports_no_package_that_runs_networks():
    """Until a network is opened: from the command line, its commands and the worker on, at file scope."""
    reached = {name for name in MODULES if name.startswith(("cineheart.commands.", "cineheart.report"))}
    left = reached | {"cineheart.cli", "cineheart.pipeline", "cineheart.worker"}
    reached = set()
    while left:
        name = left.pop()
        reached.add(name)
        left |= imported_modules(name, MODULES[name], outside_functions) - reached
    heavy = {"torch", "monai", "ignite", "onnx", "openvino", "onnxruntime"}
    sources = {name: tree_of(MODULES[name]) for name in reached}
    assert {name for name, tree in sources.items() if imported(tree, outside_functions) & heavy} == set()
    assert "CardiacSegLib.segment.segmenter" in reached and "CardiacLib.networks.opened" in reached


def test_every_package_is_in_the_wheel():
    listed = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("packages = [", 1)[1].split("]", 1)[0]
    folders = {path.parent for _, path in SOURCES}
    names = {".".join((name, *f.relative_to(PACKAGES[name]).parts)) for name, f in _owned(folders)}
    assert names | {"CardiacLib.Resources"} == set(listed.replace('"', "").replace(",", " ").split())


def _owned(folders):
    return [(name, f) for f in folders for name, root in PACKAGES.items() if f.is_relative_to(root)]


def test_functions_take_at_most_six_parameters():
    """Commands of the command line excepted, whose parameters are what a user may type."""
    too_many = []
    for package, path in SOURCES:
        if package == "cineheart" and path.name in ("cli.py", "bundle_cli.py"):
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                if sum(a.arg not in ("self", "cls") for a in given) > 6:
                    too_many.append(f"{path.name}:{node.name}")
    assert not too_many


@pytest.mark.slow
def test_no_string_names_a_package_of_an_upper_layer():
    """What a lower layer needs of an upper one is handed to it: it does not even know the name.

    ``cineheart`` by itself is the product, which names its cache folder and its label order.
    """
    named = []
    for package, path in SOURCES:
        upper = set(PACKAGES) - MAY_IMPORT[package] - {package}
        nodes = ast.walk(tree_of(path))
        texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        named += [f"{path.name}: {text}" for text in texts if text != "cineheart" and text.split(".")[0] in upper]
    assert not named
