"""Which DICOM images may belong to a cine: magnitude images of an MR scanner, in every spelling of their kind."""

import re

IMAGE_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.4",
    "1.2.840.10008.5.1.4.1.1.7",
)
"""MR, enhanced MR, legacy converted enhanced MR; secondary capture, which converters write (with places in space)."""
STANDARD_CLASSES = "1.2.840.10008.5.1.4.1.1."
NOT_MAGNITUDE = re.compile(
    r"(R|REAL|I|IM|IMAG|IMAGINARY|P|PH|V|VEL)( (?!TIME)|$)"  # R, R FFE, IMAGINARY, but not REAL TIME
    r"|.* [PRI]$"
    r"|.*(?<!MULTI )\bPHASE|.*VELOC|.*\bVENC|.*MAPS?\b|.*\bPSIR\b"
    r"|T[12]|(CR|QUANTITY|ADC|ECV|FIT|ERROR|B0|B1|CB[FV]|MTT|TTP|TMAX|R[12]|W|F|WATER|FAT)\b"
    r"|(SUB|SUBTRACTION|DIVISION|MULTIPLICATION|MASKED|STD DEV|STDDEV|MIP|MINIP|MPR|M[AI][XN] IP)\b"
    r"|.*(VOLUME REND|PROJECTION|REPORT|RESULT|DOCUMENT|SCREEN|SNAPSHOT|CAPTURE|\bGRAPH|\bCHART)"
    r"|.*(LOCALI[SZ]ER|\bSCOUT\b|\bSURVEY\b)"
)
"""Matched at the start of a value of Image Type or Frame Type, in capitals, with blanks for ``_``, ``-`` and ``/``:
complex parts, velocities, maps of a quantity, computed and photographed pictures, images to plan by."""
LOCALIZER = re.compile(r"locali[sz]er|(?<![a-z])(scout|survey)(?![a-z])")
GE_KINDS = {1: "phase", 2: "real", 3: "imaginary"}
"""Values of the private element (0043,102F) of GE."""


def component_of(dataset, frame_type) -> str:
    """``M`` for magnitude, else what the file calls its images: a part, a map, a screenshot.

    Args:
        dataset: of pydicom.
        frame_type: the frame's item of the MR Image Frame Type Sequence, or None.
    """
    parts = [_values(source, "ComplexImageComponent") for source in (frame_type, dataset)]
    part = next((values[0] for values in parts if values), "")
    if part and part not in ("MAGNITUDE", "MIXED", "M"):
        return part
    # The type of the file is that of a mixture, the type of the frame is its own.
    for value in _values(frame_type, "FrameType") or _values(dataset, "ImageType"):
        if NOT_MAGNITUDE.match(re.sub(r"[\s_/\-]+", " ", value)):
            return value
    if "GE" in str(dataset.get("Manufacturer") or "").upper() and (0x0043, 0x102F) in dataset:
        kind = GE_KINDS.get(_whole(dataset[0x0043, 0x102F].value))
        if kind:
            return kind
    photometric = str(dataset.get("PhotometricInterpretation") or "MONOCHROME2").upper()
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or not photometric.startswith("MONOCHROME"):
        return "colour"
    return "M"


def modality_of(dataset) -> str:
    """The modality; of an object of another standard class its name, whatever its modality says."""
    modality = str(dataset.get("Modality") or "")
    uid = str(dataset.get("SOPClassUID") or "")
    if uid.startswith(STANDARD_CLASSES) and uid not in IMAGE_CLASSES:
        name = getattr(dataset["SOPClassUID"].value, "name", uid).removesuffix(" Storage").removesuffix(" Image")
        return modality if modality not in ("", "MR") else name
    if not modality and uid in IMAGE_CLASSES[:3]:
        return "MR"
    return modality


def is_localizer(*names: str) -> bool:
    """Whether a name of the series says that the images were made to plan others by."""
    return any(LOCALIZER.search(name.lower()) for name in names)


def _values(dataset, keyword) -> list[str]:
    value = dataset.get(keyword) if dataset is not None else None
    values = [value] if isinstance(value, str) else list(value or ())
    return [str(v).strip().upper() for v in values if str(v).strip()]


def _whole(value) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
