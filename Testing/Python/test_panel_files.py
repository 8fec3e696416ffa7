"""The files of the panels: tool tips, translated texts, lengths, and nothing that Qt 6 has removed."""

import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("CardiacSeg", "CardiacLandmarks", "BiVMesh")
NO_CONTROL = ("qMRMLWidget", "ctkCollapsibleButton", "QWidget", "QFrame")
"""Classes that only hold others."""
REMOVED_IN_QT6 = (
    *("QTextCodec", "QRegExp", "QDesktopWidget", "QStringRef", "QMatrix", "QGLWidget", "QSignalMapper", "QLinkedList"),
    *("QRegExpValidator", "QSound", "QXmlSimpleReader", "QStateMachine", "QFontDatabase()", "exec_(", "MidButton"),
    *("currentIndexChanged(QString)", "activated(QString)", "highlighted(QString)", "buttonClicked(int)", "delta()"),
    *("AA_EnableHighDpiScaling", "WindowContextHelpButtonHint", "setMargin(", "foregroundRole()", "toTime_t("),
    *("setTabStopWidth", "setResizeMode(", "QPalette::Background", "qrand(", "qsrand(", "toAscii("),
)
"""Classes, methods, signals and constants of Qt 5 that Qt 6 does not have."""
SHOWN_BY = ("text", "toolTip", "title", "helpText", "acknowledgementText", "placeholderText", "windowTitle")


def widgets(name: str):
    """(class, name, tool tip) of every widget of a module's panel."""
    root = ElementTree.parse(ROOT / name / "Resources" / "UI" / f"{name}.ui").getroot()
    for widget in root.iter("widget"):
        tip = widget.find("./property[@name='toolTip']/string")
        yield widget.get("class"), widget.get("name"), (tip.text or "").strip() if tip is not None else ""


def sources() -> list[Path]:
    """Python files that run inside Slicer's interface."""
    folders = ("CardiacSeg/CardiacLib", "CardiacSeg/CardiacSegLib", "CardiacLandmarks/CardiacLandmarksLib")
    inside = [ROOT / folder / "mrml" for folder in (*folders, "BiVMesh/BiVMeshLib")]
    return [
        *(ROOT / name / f"{name}.py" for name in NAMES),
        *(path for folder in inside for path in sorted(folder.rglob("*.py"))),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_control_has_a_tool_tip(name):
    found = list(widgets(name))
    assert len(found) > 20
    assert [widget for kind, widget, tip in found if kind not in NO_CONTROL and len(tip) < 15] == []


@pytest.mark.parametrize("name", NAMES)
def test_tool_tips_are_sentences(name):
    assert [tip for _, _, tip in widgets(name) if tip and not tip.endswith(".")] == []


@pytest.mark.parametrize("name", NAMES)
def test_module_files_are_short(name):
    """What Slicer looks for in them stands there: metadata, parameters, widget, console API, reader, self test."""
    assert len((ROOT / name / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 360


def is_plain_text(node: ast.expr) -> bool:
    """Whether an expression is words that are written in the source and not handed to the translation."""
    word = re.compile(r"[A-Za-z]{3}")
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.Constant) and word.search(part.value) for part in node.values)
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(word.search(node.value))


def untranslated(path: Path) -> list[str]:
    """Texts that a source shows to the user without ``_()``: assigned to a label, or given to ``set_enabled``."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        shown = []
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            shown = [node.value] if node.targets[0].attr in SHOWN_BY else []
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "set_enabled":
            shown = node.args[1:]
        for value in shown:
            choices = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            found += [f"{path.name}:{node.lineno}" for choice in choices if is_plain_text(choice)]
    return found


def test_texts_are_translated():
    assert [place for path in sources() for place in untranslated(path)] == []


def translations(path: Path) -> list[ast.Call]:
    """The calls of ``_`` in a source."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return [call for call in calls if getattr(call.func, "id", "") == "_"]


def test_the_extraction_of_texts_finds_them():
    """Slicer's tool looks for ``_`` with a literal; it looks the text up by the calling file."""
    found = {path: translations(path) for path in sources()}
    for path, calls in found.items():
        for call in calls:
            assert [type(argument) for argument in call.args] == [ast.Constant] and not call.keywords, path
        module = "slicer.i18n" if path.stem in NAMES else "CardiacLib.mrml.translation"
        wanted = f"from {module} import " + ("tr as _" if path.stem in NAMES else "_")
        assert not calls or f"{wanted}\n" in path.read_text(encoding="utf-8"), path
    assert sum(map(len, found.values())) > 120


def test_the_check_for_untranslated_texts_finds_them(tmp_path):
    (tmp_path / "wrong.py").write_text("label.text = 'Ready now'\nset_enabled(b, _('tip'), 'Not yet.')\n")
    assert untranslated(tmp_path / "wrong.py") == ["wrong.py:1", "wrong.py:2"]


def test_nothing_is_computed_in_the_window():
    """Panels draw what the worker's steps gave; they import nothing that segments, measures, judges or meshes."""
    steps = {"segment_cine", "measure", "assess", "find_landmarks", "measure_annulus", "left_ventricle_apex"}
    steps |= {"build_mesh", "move_mesh", "SlicePropagation", "read_study"}
    nodes = [(path, node) for path in sources() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    found = [(path, node.names) for path, node in nodes if isinstance(node, ast.ImportFrom)]
    assert [(path.name, alias.name) for path, names in found for alias in names if alias.name in steps] == []


def test_nothing_that_qt6_has_removed():
    files = [*sources(), *(ROOT / name / "Resources" / "UI" / f"{name}.ui" for name in NAMES)]
    used = [(path.name, word) for path in files for word in REMOVED_IN_QT6 if word in path.read_text(encoding="utf-8")]
    assert used == []
