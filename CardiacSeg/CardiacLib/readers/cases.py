"""One image, one study, or a folder of many cases: what a path holds, and a sentence where a command takes another."""

from dataclasses import replace
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent
from CardiacLib.readers.view.views import named_view
from CardiacLib.types.cine import Cine
from CardiacLib.types.study import Study

from .image import read_image
from .images import LABEL_NAME, META, NIFTI, NRRD, list_files
from .info_cfg import INFO
from .study import read_study, require_cine_stack
from .zipped import is_zip, unzipped

LEAST_SLICES = 3


def read_one_image(path: Path, view: str = "sax") -> Cine:
    """The cine of one file or of a DICOM folder with one stack.

    Raises:
        InputError: it cannot be read; of a folder with more the sentence says which command takes it.
    """
    if is_zip(path):
        with unzipped(path) as folder:
            cine = read_image(_only_image(folder), view)
        return cine.with_changes(source=str(path))
    try:
        return read_image(path, view)
    except InputError as error:
        if not path.is_dir() or not any(path.iterdir()):
            raise
        refuse_cases(path)
        raise InputError(
            f"{_sentence(error)}: this command takes one image, 'cineheart run {path} -o DIR' the folder of a study."
        ) from error


def read_one_study(
    path: Path, views: dict[str, str] | None = None, progress: Progress = silent, *, study_uid: str = ""
) -> Study:
    """The cines of one study whose short axis has several slices and frames.

    Raises:
        InputError: it cannot be read, has one slice or frame only, or holds several cases; the sentence says
            which command takes what it is.
    """
    if is_zip(path):
        with unzipped(path) as folder:
            return replace(read_one_study(_only_image(folder), views, progress), source=str(path))
    refuse_cases(path)
    if path.is_file() and LABEL_NAME.search(path.name.lower()):
        raise InputError(f"{path}: are labels by its name; 'cineheart mesh {path} -o DIR' takes labels, run a study.")
    try:
        study = read_study(path, views or None, progress, study_uid=study_uid)
        require_cine_stack(study.cines["sax"])
        return study
    except InputError as error:
        if not path.is_file():
            raise
        raise InputError(
            f"{_sentence(error)}: 'cineheart run' takes the folder of a study, 'cineheart segment {path} -o DIR' one "
            "image."
        ) from error


def _only_image(folder: Path) -> Path:
    """The one image file of an unpacked zip, or the folder that holds several."""
    images = list_files(folder).images
    return images[0] if len(images) == 1 else folder


def refuse_cases(path: Path) -> None:
    """Raise InputError for a folder of several cases."""
    from .cases import case_folders

    if cases := case_folders(path):
        names = ", ".join(case.name for case in cases[:3]) + (", ..." if len(cases) > 3 else "")
        raise InputError(
            f"{path}: holds {len(cases)} cases ({names}), and no command reads the images of several at once; give "
            f"them one by one, as 'cineheart run {cases[0]} -o DIR' ('cineheart mesh' takes a folder of label maps)."
        )


def _sentence(error: InputError) -> str:
    return str(error).rstrip(".")


def case_folders(path: str | Path) -> list[Path]:
    """The folders of several cases in a folder; empty where it is the folder of one study, or a file.

    Cases are folders directly within it that each hold a short-axis stack of their own (a volume of several slices and
    frames, or ACDC's ``Info.cfg``), or DICOM files of a patient whom the others do not know. Folders that are named
    after views are parts of one study.
    """
    path = Path(path)
    if not path.is_dir():
        return []
    folders = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    if len(folders) < 2:
        return []
    unnamed = [folder for folder in folders if named_view(folder.name) is None]
    stacks = [folder for folder in unnamed if _holds_stack(folder)]
    if len(stacks) > 1:
        return stacks
    patients = {folder: _patient_id(folder) for folder in folders}
    known = {patient for patient in patients.values() if patient}
    return [folder for folder, patient in patients.items() if patient] if len(known) > 1 else []


def stack_files(folder: str | Path) -> list[Path]:
    """The image files directly in a folder that hold a short-axis stack of several frames, sorted by name."""
    images = (file for file in sorted(Path(folder).iterdir()) if file.name.lower().endswith(NIFTI + NRRD + META))
    return [file for file in images if not file.name.startswith(".") and _is_stack(file)]


def _holds_stack(folder: Path) -> bool:
    if (folder / INFO).is_file():
        return True
    return any(_is_stack(file) for file in sorted(folder.rglob("*")) if file.name.lower().endswith(NIFTI + NRRD + META))


def _is_stack(file: Path) -> bool:
    """Whether an image file says that it has several slices and several frames."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return False
    size = reader.GetSize()
    return len(size) == 4 and size[2] >= LEAST_SLICES and size[3] > 1


def _patient_id(folder: Path) -> str:
    """Patient's ID of the first file in a folder, where that is DICOM."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.startswith((".", "DICOMDIR")):
            try:
                header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["PatientID"])
            except (InvalidDicomError, OSError, ValueError, EOFError):
                return ""
            return str(header.get("PatientID", "")).strip()
    return ""
