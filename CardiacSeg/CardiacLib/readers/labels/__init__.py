"""Labels and valve points in files: label maps, segmentations, markups."""
