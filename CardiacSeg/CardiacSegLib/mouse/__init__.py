"""Cines of small animals: network, training, labelling of the whole cine, measures in microlitres and milligrams."""
