"""Fibres, ventricular coordinates and AHA segments of a mesh, from Laplace solutions."""
