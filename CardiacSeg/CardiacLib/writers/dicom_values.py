"""Values that DICOM forbids, as anonymisers leave them ("unknown" for a date): left blank in what is copied."""

import copy

SEXES = ("M", "F", "O")


def permitted_copy(dataset):
    """A copy of a pydicom dataset whose forbidden values are empty, in its sequences too; the dataset stays as it is.

    Values that a header cannot have where they stand: dates that are none, texts that are too long, numbers that are
    text, a sex that is none of M, F, O.
    """
    from pydicom.datadict import dictionary_VR
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

    plain = Dataset()
    for tag in sorted(dataset.keys()):
        try:
            element = copy.copy(dataset[tag])
            if element.VR == "SQ":
                element.value = [permitted_copy(item) for item in element.value]
            elif not is_permitted(element):
                element.value = None
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, NotImplementedError):
            # pydicom cannot make a value of these bytes
            if tag.is_private:
                continue
            element = DataElement(tag, dictionary_VR(tag), None)
        plain.add(element)
    return plain


def is_permitted(element) -> bool:
    """Whether DICOM allows the value of an element that is no sequence."""
    from pydicom.config import RAISE
    from pydicom.valuerep import DA, DT, TM, validate_value

    values = element.value if element.VM > 1 else [element.value]
    for value in values:
        if value in (None, ""):
            continue
        if element.keyword == "PatientSex" and value not in SEXES:
            return False
        try:
            if element.VR in ("DA", "TM", "DT"):
                {"DA": DA, "TM": TM, "DT": DT}[element.VR](str(value))
            if isinstance(value, str) or element.VR == "PN":
                validate_value(element.VR, str(value), RAISE)
        except (ValueError, TypeError, OverflowError):
            return False
    return True
