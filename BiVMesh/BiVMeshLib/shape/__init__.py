"""The smooth shape of both ventricles as distance fields on a grid, and the size of its elements."""
