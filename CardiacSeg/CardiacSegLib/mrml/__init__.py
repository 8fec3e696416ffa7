"""Segmentations and ventricular function in the scene and in the panel."""
