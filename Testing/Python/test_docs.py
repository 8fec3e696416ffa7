"""What README and Docs say is true: links lead somewhere, imports exist, commands, options and make targets exist."""

import ast
import importlib
import re
from pathlib import Path

import pytest
import typer

from CardiacLib.types.labels import structures
from cineheart.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "Docs").glob("*.md")), *sorted(ROOT.glob("Resources/Bundles/*/docs/*.md"))]
page = pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)


@page
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@page
def test_imports_exist(path):
    for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names)


@page
def test_commands_and_options_exist(path):
    command = typer.main.get_command(app)
    for line in re.findall(r"^(?:`|\| `)?cineheart ([^`\n|]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
        words = line.split()
        if words[0] == "COMMAND":
            continue
        found = command.commands[words[0]]
        known = {option for parameter in found.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_label_table_is_the_colour_table():
    rows = re.findall(r"^\| (\d) \|[^|]*\| ?(\d*) ?\|$", (ROOT / "Docs" / "formats.md").read_text(), re.MULTILINE)
    assert {int(label): code for label, code in rows} == {s.label: s.type[1] for s in structures().values()}
