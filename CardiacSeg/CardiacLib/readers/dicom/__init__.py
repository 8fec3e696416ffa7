"""DICOM files of any modality and nesting to planes of cines."""
