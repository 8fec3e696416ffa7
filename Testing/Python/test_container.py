"""Each line of ``Resources/Containerfile`` against the package, because no container is built in these tests."""

import json
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from cineheart.cli import main

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Resources" / "Containerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINES = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()


def only(instruction: str) -> str:
    """What stands behind the one instruction of this name."""
    (found,) = [line.partition(" ")[2] for line in LINES if line.startswith(f"{instruction} ")]
    return found


def test_what_is_installed_is_there():
    """The extras exist, the pins lie in what is copied, no ignored folder is needed, and Python is new enough."""
    source, target = only("COPY").split()
    assert source == "." and target == "/source"
    (install,) = re.findall(r"pip install [^&]*", TEXT)
    pins, extras = re.search(r'-c (\S+) "/source\[(\S+)\]"', install).groups()
    pins = Path(pins).relative_to(target)
    assert (ROOT / pins).is_file() and f"rm -rf {target}" in TEXT
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"]) and "web" in extras
    needed = {Path(folder).parts[0] for folder in PROJECT["tool"]["setuptools"]["package-dir"].values()}
    needed |= {pins.parts[0], "pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    ignored = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n") if line[:1] not in "#"]
    assert all((ROOT / name).exists() for name in needed)
    assert not [name for name in needed for pattern in ignored if fnmatch(name, pattern)]
    version = tuple(map(int, re.search(r"python:(\d+)\.(\d+)-", only("FROM")).groups()))
    assert version >= tuple(map(int, re.findall(r"\d+", PROJECT["project"]["requires-python"])))


def test_the_command_starts_a_server_with_a_token_at_the_port(tmp_path, monkeypatch, capsys):
    """As another user than root, at the exposed port, for all addresses; only the folder of the studies differs."""
    pytest.importorskip("trame_slicer")
    from cineheart.web import serve as serving

    async def no_server(root, options, token, say) -> None:
        seen.append((root, options, token))

    seen: list = []
    monkeypatch.setattr(serving, "_serve", no_server)
    monkeypatch.delenv(serving.TOKEN_VARIABLE, raising=False)
    program, *words = json.loads(only("CMD"))
    assert PROJECT["project"]["scripts"][program] == "cineheart.__main__:main"
    assert main([str(tmp_path) if word == "/studies" else word for word in words]) == 0
    ((root, options, token),) = seen
    assert root == tmp_path.resolve() and options.host == "0.0.0.0" and len(token) >= serving.SHORTEST_TOKEN
    assert options.port == int(only("EXPOSE")) and f"127.0.0.1:{options.port}:{options.port} " in TEXT
    assert f"useradd --create-home {only('USER')}" in TEXT and f"/studies:ro {program}" in TEXT
    assert serving.TOKEN_VARIABLE in TEXT
