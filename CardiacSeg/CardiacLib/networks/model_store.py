"""Weights that CineHeart does not ship: fetched when asked, or imported from a file, kept in a cache folder.

``<cache>/<bundle>/models/model.pt`` is a plain float32 state dictionary, whatever form it came in; where the package
onnx is installed, ``model.onnx`` beside it is made of it. ``<cache>/<bundle>/source.json`` says where the weights came
from and whether they are the published file. Nothing enters the cache before it loads strictly.
"""

import json
import shutil
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, require_output, write_json
from CardiacLib.progress import Progress, part, silent
from CardiacLib.resources import resource_path

from .bundles import bundle_path, cache_folder, load_weights, network_of, put_weights, read_config, read_weights
from .device import import_torch
from .download import checksum, download
from .keras.layouts import is_keras_file
from .keras.weights import keras_state
from .manifest import Entry, manifest
from .onnx_files import FILE, RECORD

LARGEST_BYTES = 2 << 30
"""A weights file in a zip that claims to be larger is refused."""


@dataclass(frozen=True)
class WeightsSource:
    """Where a bundle's weights came from.

    Attributes:
        state: ``shipped``, ``fetched``, ``imported`` or ``missing``.
        origin: URL or file name of fetched and imported weights.
        sha256: of that file.
        published: whether it is the very file that the manifest describes; None for other weights.
    """

    state: str
    origin: str | None = None
    sha256: str | None = None
    published: bool | None = None


def weights_source(name: str, cache: str | Path | None = None) -> WeightsSource:
    """Where a bundle's weights came from."""
    if _is_shipped(name):
        return WeightsSource("shipped")
    source = cache_folder(cache) / name / "source.json"
    if not source.is_file():
        return WeightsSource("missing")
    try:
        stated = json.loads(source.read_text(encoding="utf-8"))
        return WeightsSource(
            state=stated["state"], origin=stated["from"], sha256=stated["sha256"], published=stated["published"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{source}: is damaged; remove the weights ('cineheart bundles clear {name}') and get them again."
        ) from error


def fetch(name: str, cache: str | Path | None = None, progress: Progress = silent) -> Path:
    """Download the published weights of a bundle into the cache and return their file.

    An interrupted download goes on where it stopped. The checksum decides whether a file is kept.

    Raises:
        InputError: nothing can be fetched under this name, no server gave the file, or it is not the published one.
    """
    _refuse_shipped(name)
    entry = manifest().get(name)
    if entry is None:
        raise InputError(f"'{name}' has no published weights; use 'cineheart bundles import {name} FILE' or train it.")
    folder = cache_folder(cache)
    require_output(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    partial = _part_file(folder, name)
    problems = []
    for url in entry.urls:
        try:
            _obtain(entry, url, partial, part(progress, 0.0, 0.9))
        except InputError as error:
            problems.append(str(error))
            continue
        progress(0.9, "checking the weights")
        weights = _install(name, partial, "fetched", url, folder)
        partial.unlink()
        return weights
    raise InputError(
        f"The weights of '{name}' could not be fetched ({'; '.join(problems)}); try again (a broken download goes "
        f"on), or get the file from {entry.page} and import it ('cineheart bundles import {name} FILE')."
    )


def import_file(name: str, path: str | Path, cache: str | Path | None = None, *, trust: bool = False) -> Path:
    """Take the weights of a bundle from a ``.pt``, a TorchScript ``.ts``, the zip of a MONAI bundle or a Keras file.

    Only weights are taken from a zip: its configuration could run code. A zip may hold several weights files; then
    ``models/model.pt`` is taken, or else ``models/model.ts``. TorchScript is a program: it is read only with ``trust``.

    Raises:
        InputError: the file cannot be read, is of another network or would have to be trusted; the cache then stays as
            it was.
    """
    _refuse_shipped(name)
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    require_output(cache_folder(cache) / name)
    with tempfile.TemporaryDirectory() as work:
        source = path if is_keras_file(path) else _unpacked(path, Path(work))
        return _install(name, source, "imported", path.name, cache_folder(cache), trust)


def clear(name: str, cache: str | Path | None = None) -> int:
    """Remove a bundle's fetched or imported weights and unfinished downloads; return the bytes freed."""
    _refuse_shipped(name)
    folder = cache_folder(cache)
    present = [p for p in ((folder / name).rglob("*"), [_part_file(folder, name)]) for p in p if p.is_file()]
    freed = sum(p.stat().st_size for p in present)
    _part_file(folder, name).unlink(missing_ok=True)
    if (folder / name).is_dir():
        shutil.rmtree(folder / name)
    return freed


def begun_bytes(name: str, cache: str | Path | None = None) -> int:
    """Size of the beginning of a bundle's weights that a broken download has left; the next fetch goes on after it."""
    begun = _part_file(cache_folder(cache), name)
    return begun.stat().st_size if begun.is_file() else 0


def discard_unfinished(name: str, cache: str | Path | None = None, keep_download: bool = False) -> None:
    """Remove what an unfinished fetch or import left in the cache; weights that are complete stay.

    With ``keep_download`` the beginning of the file stays too.
    """
    folder = cache_folder(cache)
    if not keep_download:
        _part_file(folder, name).unlink(missing_ok=True)
    for unfinished in folder.glob(f".{name}-*"):  # of files.atomic_directory
        shutil.rmtree(unfinished, ignore_errors=True)


def _is_shipped(name: str) -> bool:
    return (bundle_path(name) / "models" / "model.pt").is_file()


def _refuse_shipped(name: str) -> None:
    bundle = bundle_path(name)
    if bundle != resource_path("Bundles") / name:
        raise InputError(f"'{name}' is a folder of your own; weights are fetched, imported and cleared by name.")
    if _is_shipped(name):
        raise InputError(f"The weights of '{name}' are shipped with CineHeart; there is nothing to fetch or clear.")


def _part_file(folder: Path, name: str) -> Path:
    return folder / f".{name}.part"


def _obtain(entry: Entry, url: str, target: Path, progress: Progress) -> None:
    """Download ``url`` to ``target``, going on from what is there, until the checksum is right."""
    resumed = target.is_file()
    download(url, target, progress)
    problem = _problem(target, entry)
    if problem is None:
        return
    target.unlink()
    if not resumed:
        raise InputError(f"{url}: the file is not the published one, {problem}")
    _obtain(entry, url, target, progress)  # what was there before was not the beginning of this file


def _problem(path: Path, entry: Entry | None) -> str | None:
    """Why a file is not the one of the manifest; None if it is."""
    if entry is None:
        return "nothing is published"
    if entry.size is not None and path.stat().st_size != entry.size:
        return f"{path.stat().st_size} bytes instead of {entry.size}"
    for algorithm in ("sha256", "md5"):
        wanted = getattr(entry, algorithm)
        if wanted is not None and (found := checksum(path, algorithm)) != wanted:
            return f"{algorithm} {found} instead of {wanted}"
    return None


def _unpacked(path: Path, work: Path) -> Path:
    """The weights file in the zip of a bundle, copied into ``work``; a file that is no such zip is returned as it is.

    The archive's own paths are never written to, so none can lead out of ``work``.
    """
    if not zipfile.is_zipfile(path):
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(Path(m.filename).name in ("data.pkl", "constants.pkl") for m in members):
                return path  # what torch.save and TorchScript write is a zip too
            member = _weights_member(path, members)
            target = work / Path(member.filename).name
            with archive.open(member) as packed, open(target, "wb") as out:
                shutil.copyfileobj(packed, out)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: the zip cannot be unpacked ({error}); download it again.") from error
    return target


def _weights_member(path: Path, members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    found = {Path(m.filename).name: m for m in reversed(members) if Path(m.filename).parent.name == "models"}
    member = found.get("model.pt") or found.get("model.ts")
    if member is None:
        raise InputError(f"{path}: the zip holds no models/model.pt and no models/model.ts; give a MONAI bundle.")
    if member.file_size > LARGEST_BYTES:
        raise InputError(f"{path}: its {member.filename} would be {member.file_size / 1e9:.0f} GB; that is no network.")
    return member


def _install(name: str, source: Path, state: str, origin: str, cache: Path, trust: bool = False) -> Path:
    """Put weights into the cache once they load strictly into the bundle's network."""
    torch = import_torch("weights are checked and converted with it")
    from .onnx_export import can_export, example_of, onnx_of, record_of  # imports torch

    # A file that is none is refused before the network is made, for which MONAI is imported: that takes seconds.
    found = None if is_keras_file(origin) else read_weights(source, trust)
    bundle = bundle_path(name)
    network = network_of(bundle, read_config(bundle, "inference")).eval()
    if found is not None:
        put_weights(network, found, source)
    elif hasattr(network, "keras_layers"):
        network.load_state_dict(keras_state(network, source), strict=True)
    else:
        load_weights(network, source, trust)
    with atomic_directory(cache / name) as folder:
        weights = folder / "models" / "model.pt"
        weights.parent.mkdir()
        torch.save(network.state_dict(), weights)
        facts = {
            "state": state,
            "from": origin,
            "sha256": checksum(source, "sha256"),
            "published": _problem(source, manifest().get(name)) is None,
        }
        if can_export():
            file = weights.with_name(FILE)
            file.write_bytes(onnx_of(network, example_of(bundle)))
            facts[RECORD] = record_of(file, weights).to_dict()
        write_json(folder / "source.json", facts)
    return cache / name / "models" / "model.pt"
