"""What README and Docs say is true: links lead somewhere, imports exist, commands, options and make targets exist."""

import ast
import importlib
import re
import textwrap
from pathlib import Path

import pytest
import typer

from CardiacLib.types.labels import structures
from cineheart.cli import app

ROOT = Path(__file__).resolve().parents[2]
DOCS, CARDS = ROOT / "Docs", sorted(ROOT.glob("Resources/Bundles/*/docs/*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")), *CARDS]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CARD_LINES = 60
"""What fits one screen: a card up to the part that ``cineheart evaluate`` writes."""
page = pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())


def linked(path: Path) -> list[tuple[Path, str]]:
    """Files and anchors that a page links to, in its order."""
    found = []
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            file, _, anchor = target.partition("#")
            found.append(((path.parent / file).resolve() if file else path, anchor))
    return found


def anchors(path: Path) -> set[str]:
    """Anchors of a page as GitHub makes them of its headings, and those written by hand."""
    text = path.read_text(encoding="utf-8")
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


@page
def test_links_lead_somewhere(path):
    for file, anchor in linked(path):
        assert file.exists(), file
        assert not anchor or anchor in anchors(file), f"{file.name}#{anchor}"


def test_every_page_is_linked_once_from_the_index():
    index = DOCS / "README.md"
    named = [file for file, _ in linked(index) if file.parent == DOCS]
    assert sorted(named) == sorted(set(DOCS.glob("*.md")) - {index})


def test_every_page_is_reached_from_the_index():
    seen, waiting = set(), [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            waiting += [file for file, _ in linked(page)]
    assert not set(PAGES) - seen


@pytest.mark.parametrize("path", CARDS, ids=lambda p: p.parents[1].name)
def test_a_card_is_one_screen(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.split("<!-- evaluation -->")[0].splitlines()) <= CARD_LINES
    assert "cineheart train" in text and "**Run:**" in text and "## Limits" in text and "| weights |" in text


@page
def test_lines_of_prose_are_short(path):
    """Lines of 120 characters, but for tables, code, pictures and what a command writes between markers."""
    text = re.sub(
        r"^ *```.*?^ *```|<!-- (\w+) -->.*?<!-- /\1 -->", "", path.read_text(encoding="utf-8"), flags=re.M | re.S
    )
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith(("|", "!["))] == []


@page
def test_imports_exist(path):
    for block in re.findall(r"^ *```python\n(.*?)```", path.read_text(encoding="utf-8"), re.M | re.S):
        for node in ast.walk(ast.parse(textwrap.dedent(block))):
            if isinstance(node, ast.ImportFrom) and not node.level:
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
        if hasattr(found, "commands"):
            found = found.commands[words[1]]
        known = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= known


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_label_table_is_the_colour_table():
    rows = re.findall(r"^\| (\d) \|[^|]*\| ?(\d*) ?\|$", (ROOT / "Docs" / "formats.md").read_text(), re.MULTILINE)
    assert {int(label): code for label, code in rows} == {s.label: s.type[1] for s in structures().values()}
