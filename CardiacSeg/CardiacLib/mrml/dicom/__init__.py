"""Cine cardiac studies of Slicer's DICOM database: found, loaded, and their segmentations given back."""
