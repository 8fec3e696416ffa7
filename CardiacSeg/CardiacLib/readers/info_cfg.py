"""``Info.cfg`` of the ACDC challenge: what lies beside a patient's images and says what they do not."""

from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.types.patient import Patient

INFO = "Info.cfg"
POSSIBLE = {"Height": (30.0, 260.0), "Weight": (1.0, 400.0)}
"""In cm and kg."""


def read_info(path: Path) -> dict[str, str]:
    """Key to value of an ``Info.cfg``.

    Raises:
        InputError: there is no such file, or it is no text.
    """
    if not path.is_file():
        raise InputError(f"{path.parent}: is no ACDC patient folder ({INFO} is missing).")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text file; copy the patient folder again.") from error
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines if ":" in line)}


def patient_beside(image: Path) -> Patient:
    """Height and weight of the ``Info.cfg`` beside an image; nothing where there is none or it states none."""
    try:
        stated = read_info(image.parent / INFO)
    except (InputError, OSError):
        return Patient()
    height, weight = (_number(stated.get(key), *POSSIBLE[key]) for key in ("Height", "Weight"))
    return Patient(height_m=None if height is None else height / 100, weight_kg=weight)


def _number(text: str | None, least: float, most: float) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if least <= value <= most else None
