"""What a result was made by and of: program, command, networks and inputs, the same entry in every JSON document."""

import hashlib
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from CardiacLib import __version__
from CardiacLib.files import write_json
from CardiacLib.networks.bundles import bundle_metadata, bundle_path, weights_path
from CardiacLib.networks.download import checksum

STAMPED = (
    "study.json", "measurements.json", "quality.json", "landmarks.json", "annulus.json", "propagation.json",
    "case.json", "evaluation.json",
)  # fmt: skip
"""Documents that get the entry ``provenance``."""
READERS = 4
"""Files that are read at a time."""
_command: ContextVar[tuple[str, ...]] = ContextVar("command", default=())


@dataclass(frozen=True)
class Input:
    """A file or folder that was read.

    Attributes:
        name: without its folders.
        files: number of files.
        bytes: of all of them.
        sha256: of the file; of a folder of the text that ``sha256sum`` prints of its files, sorted by path.
    """

    name: str
    files: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Network:
    """A network that was used.

    Attributes:
        name: of its bundle.
        version: of the bundle.
        sha256: of its weights.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """What a result was made by and of.

    Attributes:
        command: as it was typed, paths without their folders; empty where Python called.
        networks: that were used.
        inputs: that were read.
    """

    command: str = ""
    networks: tuple[Network, ...] = ()
    inputs: tuple[Input, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Ready for JSON."""
        return {
            "cineheart": __version__,
            "command": self.command,
            "networks": [vars(network) for network in self.networks],
            "inputs": [vars(given) for given in self.inputs],
        }

    def stamp(self, folder: Path) -> None:
        """Put the entry into every document of STAMPED in a folder of finished results, and below it."""
        for path in sorted(folder.rglob("*.json")):
            if path.name in STAMPED:
                document = json.loads(path.read_text(encoding="utf-8"))
                write_json(path, document | {"provenance": self.to_dict()})


@contextmanager
def remembered(arguments: Sequence[str]) -> Iterator[None]:
    """Within it, provenance names this command; ``arguments`` without the program's name."""
    token = _command.set(tuple(arguments))
    try:
        yield
    finally:
        _command.reset(token)


def current_command() -> tuple[str, ...]:
    """What :func:`remembered` was told, for a worker process that is to remember it too."""
    return _command.get()


def provenance(
    inputs: Sequence[Path | None] = (),
    bundles: Sequence[str] = (),
    *,
    output: Path | None = None,
    names: Mapping[str, str] | None = None,
) -> Provenance:
    """Describe what is being made.

    Args:
        inputs: files and folders that were read; None stands for one that was not given.
        bundles: names or folders of the networks that were used.
        output: a folder that is no input even where it lies in one.
        names: what to call arguments of the command, and inputs, that must not be told, by what was typed.
    """
    names = names or {}
    given = [Path(path) for path in inputs if path is not None]
    return Provenance(
        command=command_line(names),
        networks=tuple(network_of(name) for name in dict.fromkeys(bundles) if name),
        inputs=tuple(input_of(path, output, names.get(str(path))) for path in dict.fromkeys(given)),
    )


def command_line(names: Mapping[str, str]) -> str:
    """The command as it was typed, paths without their folders; ``names`` as of :func:`provenance`."""
    arguments = _command.get()
    if not arguments:
        return ""
    return shlex.join(["cineheart", *(_without_folder(argument, names) for argument in arguments)])


def _without_folder(argument: str, names: Mapping[str, str]) -> str:
    option, separator, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    named = names.get(str(Path(value)))
    if named is None:
        named = Path(value).name if os.sep in value else value
    return f"{option}{separator}{named}"


def network_of(bundle: str) -> Network:
    """A network by the name or folder of its bundle."""
    folder = bundle_path(bundle)
    weights = weights_path(folder)
    digest = checksum(weights, "sha256") if weights.is_file() else ""
    return Network(folder.name, str(bundle_metadata(folder).get("version", "")), digest)


def input_of(path: Path, output: Path | None = None, name: str | None = None) -> Input:
    """A file or folder that was read, its files several at a time."""
    name = name or path.resolve().name
    if path.is_file():
        return Input(name, 1, path.stat().st_size, checksum(path, "sha256"))
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and not _hidden(file, path)]
    if output is not None:
        files = [file for file in files if not file.resolve().is_relative_to(output.resolve())]
    with ThreadPoolExecutor(READERS) as pool:
        digests = list(pool.map(lambda file: checksum(file, "sha256"), files))
    lines = [f"{digest}  {file.relative_to(path).as_posix()}\n" for digest, file in zip(digests, files, strict=True)]
    total = hashlib.sha256("".join(lines).encode()).hexdigest()
    return Input(name, len(files), sum(file.stat().st_size for file in files), total)


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)
