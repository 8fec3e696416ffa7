"""Where results cannot be written is said in one sentence, before the work; a disk that fills up is said too."""

import errno
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from CardiacLib import files
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, disk_problem, require_output, safe_name
from cineheart import cli
from cineheart.cli import main
from cineheart.cli_options import checked_output

COMMANDS = {
    "run": ["run", "nothing"],
    "segment": ["segment", "nothing"],
    "measure": ["measure", "nothing"],
    "landmarks": ["landmarks", "--4ch", "nothing"],
    "mesh": ["mesh", "nothing"],
    "convert": ["convert", "nothing"],
    "batch": ["batch", "nothing"],
    "propagate": ["propagate", "nothing"],
    "surfaces": ["surfaces", "nothing"],
    "phantom": ["phantom"],
    "train": ["train", "cineheart_sax", "--data", "nothing"],
    "evaluate": ["evaluate", "cineheart_sax", "--data", "nothing"],
    "crossvalidate": ["crossvalidate", "biv_propagation", "--data", "nothing"],
    "gif": ["gif", "nothing"],
}


ONE_FILE = {"pdf", "unload"}
"""Commands whose output is a file."""


def test_every_command_with_an_output_is_checked():
    group = typer.main.get_command(cli.app)
    with_output = {
        name for name, command in group.commands.items() if any("-o" in p.opts for p in command.params)
    }  # fmt: skip
    assert with_output == {*COMMANDS, *ONE_FILE}


PLACES = {
    "a file": (lambda folder: folder / "file", "is a file"),
    "below a file": (lambda folder: folder / "file" / "sub", "because .*file is a file"),
    "far below a file": (lambda folder: folder / "file" / "a" / "b" / "c", "because .*file is a file"),
    "a link to nothing": (lambda folder: folder / "link", "is a file"),
    "below a link to a file": (lambda folder: folder / "tofile" / "x", "is a file"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "tofile").symlink_to(tmp_path / "file")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_the_output_is_looked_at_before_the_input(command, folder, capsys):
    assert main([*COMMANDS[command], "-o", str(folder / "file" / "sub")]) == 2
    said = capsys.readouterr().err
    assert "is a file; choose a folder for the results." in said and said.count("\n") == 1
    assert (folder / "file").read_text() == "x"


@pytest.mark.parametrize("place", PLACES)
def test_places_that_cannot_hold_results(place, folder):
    where, reason = PLACES[place]
    before = sorted(folder.iterdir())
    with pytest.raises(InputError, match=reason):
        require_output(where(folder))
    with pytest.raises(InputError, match=reason), atomic_directory(where(folder)):
        pytest.fail("the work has begun")
    assert sorted(folder.iterdir()) == before


def test_good_places_stay_as_they_are(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    for place in (folder, folder / "new", folder / "new" / "deep", "relative", "a/b", "."):
        require_output(place)
        assert checked_output(Path(place)) == Path(place)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_place_that_refuses(code, folder, monkeypatch):
    def refuse(*_, **__):
        raise OSError(code, "so it is", "somewhere")

    monkeypatch.setattr(files.tempfile, "mkdtemp", refuse)
    with pytest.raises(InputError, match=r"cannot be written \(so it is\); choose another folder"):
        require_output(folder / "new")


def usage(free: int):
    return lambda _: shutil._ntuple_diskusage(1 << 30, (1 << 30) - free, free)


def test_a_full_disk_is_found_before_the_work(folder, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", usage(65536))
    with pytest.raises(InputError, match=r"its disk is full \(0\.1 MB free\)"):
        require_output(folder / "new")


def fills_up_silently(work):
    (work / "half").write_text("half of it")


def fills_up_with_the_systems_error(work):
    raise OSError(errno.ENOSPC, "No space left on device", str(work / "x"))


def fills_up_with_an_error_of_its_own(work):
    raise RuntimeError("ITK ERROR: could not write")


def reaches_a_quota(work):
    raise OSError(errno.EDQUOT, "Disk quota exceeded")


@pytest.mark.parametrize(
    "fill", [fills_up_silently, fills_up_with_the_systems_error, fills_up_with_an_error_of_its_own, reaches_a_quota]
)
def test_a_disk_that_fills_up_leaves_nothing(fill, folder, monkeypatch):
    before = sorted(folder.iterdir())
    room = iter([usage(1 << 30)])

    def free(path):
        return next(room, usage(4096))(path)

    monkeypatch.setattr(files.shutil, "disk_usage", free)
    with pytest.raises(InputError, match="the disk is full"), atomic_directory(folder / "new") as work:
        fill(work)
    assert sorted(folder.iterdir()) == before


def test_other_errors_stay_what_they_are(folder):
    with pytest.raises(RuntimeError, match="a mistake"), atomic_directory(folder / "new"):
        raise RuntimeError("a mistake")
    assert disk_problem(RuntimeError("x")) == "" and disk_problem(FileNotFoundError(errno.ENOENT, "x")) == ""


def test_a_full_disk_anywhere_is_one_sentence(monkeypatch, capsys, tmp_path):
    def write(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "log.csv")

    monkeypatch.setattr("cineheart.commands.phantom.make_phantom_study", write)
    assert main(["phantom", "--small", "-o", str(tmp_path / "o")]) == 1
    assert capsys.readouterr().err == "cineheart: log.csv: the disk is full; make room or choose another folder.\n"


@pytest.mark.slow
def test_a_real_small_disk(tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    words = [mount, "-t", "tmpfs", "-o", "size=1200k", "tmpfs", disk]
    made = mount and subprocess.run(words, capture_output=True, check=False)
    if not made or made.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        (disk / "filler").write_bytes(bytes(100_000))
        assert main(["phantom", "--small", "-o", str(disk / "p")]) == 2
        full = f"cineheart: {disk}/p: the disk is full; make room or choose another folder.\n"
        assert capsys.readouterr().err == full
        assert [path.name for path in disk.iterdir()] == ["filler"]
        with atomic_directory(disk) as work:  # the folder is a disk itself
            (work / "x").write_text("x")
        assert (disk / "x").read_text() == "x"
    finally:
        subprocess.run(["umount", disk], check=False)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("01", "01"), ("A&B-01", "A_B-01"), ("01 <study>", "01 _study_"), ("../../etc", "_.._etc"),
        ("a/b\\c:d", "a_b_c_d"),
        ("Müller^Jörg", "Müller_Jörg"), ("", "study"), (" . ", "study"), ("nul", "nul_"), ("COM1.x", "COM1.x_"),
        ("x" * 300, "x" * 64), ("a\x00\nb", "a_b"), ('"q" \'r\'', "_q_ _r_"),
    ],
)  # fmt: skip
def test_names_of_headers_become_safe(text, name):
    assert safe_name(text) == name
