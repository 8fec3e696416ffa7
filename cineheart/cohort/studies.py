"""Which studies a cohort has: folders, files, globs and manifests, each study with a name of its own."""

import csv
import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.readers.cases import case_folders, stack_files
from CardiacLib.types.patient import Patient

TABLES = (".csv", ".parquet")
WILD = "*?["
REFERENCE = "reference_"
"""Begins the name of a manifest's column that holds a measurement to compare with, as ``reference_lv_ef_percent``."""
BODY = {"height_cm": ("height_m", 0.01), "weight_kg": ("weight_kg", 1.0), "heart_rate": ("heart_rate_bpm", 1.0)}
"""Columns of a manifest that say something of the patient, what it is, and its unit in theirs."""
SAID = ("sex", "age")
"""Columns that say it in words: male, female, M, F; completed years, or as DICOM writes an age."""


@dataclass(frozen=True)
class CohortStudy:
    """One study of a cohort.

    Attributes:
        name: unique in the cohort; of its folder of results.
        path: folder or file.
        patient: what a manifest says of the patient.
        references: measurements to compare with, by their name.
    """

    name: str
    path: Path
    patient: Patient = Patient()
    references: dict[str, float] = field(default_factory=dict)


def find_studies(sources: Sequence[Path]) -> list[CohortStudy]:
    """The studies that folders, files, globs and manifests name, sorted by name.

    A folder is one study, unless it holds folders, or 4-D files, of several: then each of them is one, also those that
    turn out to be damaged. A manifest is a CSV or Parquet table with a column ``study``, paths relative to it, and
    perhaps ``name``, ``height_cm``, ``weight_kg``, ``heart_rate``, ``sex``, ``age`` and columns
    ``reference_MEASUREMENT``.

    Raises:
        InputError: a source does not exist, a glob fits nothing, a table cannot be read.
    """
    found: list[CohortStudy] = []
    for source in sources:
        if source.suffix.lower() in TABLES and source.is_file():
            found += _manifest(source)
        elif source.exists():
            found += [CohortStudy("", path) for path in _within(source)]
        elif any(letter in str(source) for letter in WILD):
            paths = sorted(glob.glob(str(source)))
            if not paths:
                raise InputError(f"{source}: fits no folder and no file.")
            found += [CohortStudy("", study) for path in paths for study in _within(Path(path))]
        else:
            raise InputError(f"{source}: does not exist.")
    return sorted(_named(found), key=lambda study: study.name)


def _within(path: Path) -> list[Path]:
    """The studies of a folder or file."""
    if case_folders(path):
        return [folder for folder in sorted(path.iterdir()) if folder.is_dir() and not folder.name.startswith(".")]
    files = stack_files(path) if path.is_dir() else []
    return files if len(files) > 1 else [path]


def _named(studies: Iterable[CohortStudy]) -> list[CohortStudy]:
    """Each path once, with a name: its own, and as many of its folders' as make it unique."""
    unique = list({study.path.resolve(): study for study in studies}.values())
    names = [study.name or _stem(study.path) for study in unique]
    for depth in range(1, 12):
        twice = {name for name in names if names.count(name) > 1}
        if not twice:
            break
        names = [
            "_".join([*study.path.absolute().parts[-1 - depth : -1], _stem(study.path)]) if name in twice else name
            for study, name in zip(unique, names, strict=True)
        ]
    return [
        CohortStudy(name, study.path, study.patient, study.references)
        for study, name in zip(unique, names, strict=True)
    ]


def _stem(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.name.split(".")[0]


def _manifest(path: Path) -> list[CohortStudy]:
    made = []
    for number, row in enumerate(_rows(path), 2):
        named = str(row.get("study") or "").strip()
        if not named:
            raise InputError(f"{path}: line {number} has nothing in the column study, which names a folder or file.")
        numbers = {key: _number(path, number, key, row.get(key)) for key in row if key.startswith(REFERENCE)}
        stated = {key: _number(path, number, key, row.get(key)) for key in BODY}
        body = {BODY[key][0]: value * BODY[key][1] for key, value in stated.items() if value is not None}
        said = {key: value for key in SAID if (value := str(row.get(key) or "").strip())}
        made.append(
            CohortStudy(
                name=str(row.get("name") or "").strip(),
                path=path.parent / named,
                patient=Patient(**body, **said),
                references={key.removeprefix(REFERENCE): value for key, value in numbers.items() if value is not None},
            )
        )
    return made


def _rows(path: Path) -> list[dict[str, object]]:
    if path.suffix.lower() == ".csv":
        with open(path, newline="", encoding="utf-8-sig") as stream:
            return [
                {(key or "").strip().lower(): value for key, value in row.items()} for row in csv.DictReader(stream)
            ]
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"{path}: reading Parquet needs pyarrow; pip install 'cineheart[cohort]'.") from error
    try:
        return pyarrow.parquet.read_table(path).to_pylist()
    except pyarrow.ArrowException as error:
        raise InputError(f"{path}: is no Parquet table ({error}).") from error


def _number(path: Path, line: int, key: str, value: object) -> float | None:
    if value is None or str(value).strip() == "":
        return None
    try:
        return float(str(value))
    except ValueError:
        raise InputError(f"{path}: line {line}, {key}: '{value}' is no number.") from None
