"""From distance fields to tetrahedra: lattice, isosurface stuffing, relaxation, tags."""
