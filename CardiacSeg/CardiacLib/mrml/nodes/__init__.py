"""Data into the scene and out of it: cines, sequences, segmentations, tables, views."""
