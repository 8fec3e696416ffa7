"""A network as ``model.onnx`` beside its ``model.pt``: what OpenVINO and ONNX Runtime run, without PyTorch.

Its record, ``onnx`` in the bundle's ``metadata.json`` or, of weights in the cache, in their ``source.json``, holds its
checksum and that of the weights that it was made of. A file that does not fit its record, or weights that were changed
since, is not run.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.files import write_text

from .bundles import weights_path
from .download import checksum

FILE = "model.onnx"
RECORD = "onnx"


@dataclass(frozen=True)
class OnnxRecord:
    """What is written down of a ``model.onnx``.

    Attributes:
        sha256: of the file.
        weights_sha256: of the ``model.pt`` that it was made of.
        opset: version of the ONNX operators.
    """

    sha256: str
    weights_sha256: str
    opset: int

    def to_dict(self) -> dict[str, str | int]:
        """Ready for JSON."""
        return asdict(self)


def onnx_path(bundle: Path) -> Path:
    """File of a bundle's network as ONNX, whether it exists or not: beside its weights."""
    return weights_path(bundle).with_name(FILE)


def onnx_problem(bundle: Path) -> str:
    """Why a bundle's ``model.onnx`` cannot be run, half a sentence; empty if it can."""
    file, weights = onnx_path(bundle), weights_path(bundle)
    remedy = f"'cineheart bundles export {bundle.name}' makes it"
    if not file.is_file():
        return f"{bundle.name} has no {FILE} ({remedy})"
    record = onnx_record(bundle)
    if record is None or record.sha256 != checksum(file, "sha256"):
        return f"the {FILE} of {bundle.name} is not the one of its record ({remedy} anew)"
    if record.weights_sha256 != checksum(weights, "sha256"):
        return f"the {FILE} of {bundle.name} was made of other weights ({remedy} anew)"
    return ""


def onnx_record(bundle: Path) -> OnnxRecord | None:
    """The record of a bundle's ``model.onnx``; None if there is none, or a broken one."""
    file = _record_file(bundle)
    try:
        stated = json.loads(file.read_text(encoding="utf-8"))[RECORD]
        return OnnxRecord(str(stated["sha256"]), str(stated["weights_sha256"]), int(stated["opset"]))
    except (OSError, TypeError, KeyError, ValueError):
        return None


def write_record(bundle: Path, record: OnnxRecord) -> None:
    """Put a record where it belongs; the rest of the file stays as it is written there.

    Raises:
        InputError: the file is broken.
    """
    path = _record_file(bundle)
    entry = json.dumps(record.to_dict())
    try:
        text = path.read_text(encoding="utf-8")
        wanted = json.loads(text) | {RECORD: record.to_dict()}
        before = re.sub(rf',\s*"{RECORD}": \{{[^}}]*\}}', "", text).rstrip().removesuffix("}").rstrip()
        text = f'{before},\n    "{RECORD}": {entry}\n}}\n'
        if json.loads(text) != wanted:
            raise ValueError(f"its entry '{RECORD}' cannot be replaced")
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path}: cannot note its {FILE} ({error}); write the file again.") from error
    write_text(path, text)


def _record_file(bundle: Path) -> Path:
    """The bundle's metadata, or what the cache knows of weights that lie there."""
    folder = weights_path(bundle).parent.parent
    return bundle / "configs" / "metadata.json" if folder == bundle else folder / "source.json"
