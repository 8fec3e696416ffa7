"""Read patients of the ACDC challenge (Bernard et al., IEEE TMI 2018, doi 10.1109/TMI.2018.2837502)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.readers.info_cfg import INFO, read_info
from CardiacLib.readers.labels.label_files import read_labels
from CardiacLib.readers.nifti import read_nifti
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.patient import Patient

from .records import TEST, CaseRecord, Problem

FOLDS = 5
"""A patient's fold is its number's remainder; fold 0 (005, 010, ..., 100) is for validation, never trained on."""


class AcdcPatient(NamedTuple):
    """One patient: images and expert labels of end-diastole and end-systole, each T = 1 on the same grid.

    ``group`` is DCM, HCM, MINF, NOR or RV; height in m, weight in kg; ``name`` is the folder's name.
    """

    ed: tuple[Cine, LabelMap]
    es: tuple[Cine, LabelMap]
    group: str
    height_m: float
    weight_kg: float
    name: str


def read_acdc_patient(folder: str | Path) -> AcdcPatient:
    """Read one ACDC patient folder (``Info.cfg``, ``*_frameXX.nii.gz`` and ``*_frameXX_gt.nii.gz``).

    Labels are mapped to CineHeart's order. The files carry no patient orientation; spacing is right.

    Raises:
        InputError: a file is missing, unreadable, or labels lie outside 0..3 or on another grid.
    """
    folder = Path(folder)
    info = read_info(folder / INFO)
    try:
        frames = {"ed": int(info["ED"]), "es": int(info["ES"])}
        facts = (info["Group"], float(info["Height"]) / 100.0, float(info["Weight"]))
    except (KeyError, ValueError) as error:
        raise InputError(f"{folder / 'Info.cfg'}: ED, ES, Group, Height or Weight is missing or no number.") from error
    patient = Patient(name=folder.name, height_m=facts[1], weight_kg=facts[2])
    pairs = {phase: _pair(folder, number, patient) for phase, number in frames.items()}
    return AcdcPatient(pairs["ed"], pairs["es"], *facts, folder.name)


def _pair(folder: Path, number: int, patient: Patient) -> tuple[Cine, LabelMap]:
    stem = f"{folder.name}_frame{number:02d}"
    paths = [folder / f"{stem}.nii.gz", folder / f"{stem}_gt.nii.gz"]
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: is missing; copy the patient folder again.")
    image, truth = read_nifti(paths[0]), read_labels(paths[1], "acdc")
    if image.array.shape != truth.labels.shape or not np.allclose(image.ijk_to_lps, truth.ijk_to_lps, atol=1e-3):
        raise InputError(f"{paths[1]}: the labels are not on the grid of their image.")
    cine = Cine(image.array, image.ijk_to_lps, image.times_ms, "sax", str(paths[0]), image.notes, patient)
    return cine, truth


def patient_folders(root: str | Path, validation: bool, fold: int = 0) -> list[Path]:
    """ACDC patient folders of the training or of the validation split, in the order of their numbers.

    Args:
        root: folder that holds patient001, patient002, ...
        validation: the patients held out, or all others.
        fold: which fifth is held out; 0 is the split of all shipped networks.
    """
    folders = sorted(folder for folder in Path(root).glob("patient*") if folder.is_dir())
    if not folders:
        raise InputError(f"{root}: no ACDC patient folders (patient001, ...); give the folder that holds them.")
    return [f for f in folders if (int(f.name.removeprefix("patient")) % FOLDS == fold) == validation]


def acdc_cases(root: Path) -> tuple[list[CaseRecord], list[Problem]]:
    """ED and ES of every patient folder in ``root``, its ``training`` and its ``testing``, and what does not fit.

    The fold is the patient's number's remainder; folders in ``testing`` are the test split.
    """
    cases, problems = [], []
    for folder in acdc_folders(root):
        testing = folder.parent.name == "testing"
        try:
            info = read_info(folder / INFO)
            numbers = {phase: int(info[phase]) for phase in ("ED", "ES")}
        except (InputError, KeyError, ValueError):
            problems.append(Problem(folder.name, f"{folder / INFO}: is missing, or states no frame of ED or ES."))
            continue
        for phase, number in numbers.items():
            image, label = (folder / f"{folder.name}_frame{number:02d}{end}.nii.gz" for end in ("", "_gt"))
            if lacking := [path.name for path in (image, label) if not path.is_file()]:
                problems.append(Problem(f"{folder.name} {phase}", f"{lacking[0]} is missing."))
                continue
            fold = int(digits) % FOLDS if (digits := folder.name.removeprefix("patient")).isdigit() else None
            cases.append(
                CaseRecord(
                    folder.name, image, label, phase, group=info.get("Group", ""), vendor="Siemens", order="acdc",
                    split=TEST if testing else "", fold=None if testing else fold,
                )
            )  # fmt: skip
    return cases, problems


def acdc_folders(root: Path) -> list[Path]:
    """Patient folders with an ``Info.cfg`` in ``root``, its ``training`` and its ``testing``."""
    places = (root, root / "training", root / "testing")
    return [folder for place in places for folder in sorted(place.glob("patient*")) if (folder / INFO).is_file()]
