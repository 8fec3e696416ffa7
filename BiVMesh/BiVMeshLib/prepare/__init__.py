"""Labels made ready for meshing: checked, aligned, in the frame of the heart, interpolated between slices."""
