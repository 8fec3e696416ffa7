"""Readers: DICOM studies, NIfTI, NRRD and Slicer sequences, and data sets with labels. All geometry is LPS, mm."""

from CardiacLib.types.study import Study

from .image import read_image
from .labels.label_files import read_labels
from .study import read_study, require_cine_stack

__all__ = ["Study", "read_image", "read_labels", "read_study", "require_cine_stack"]
