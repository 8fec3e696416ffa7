"""Cines of small animals: one HDF5 file per animal, in the layout of the published data of mice."""
