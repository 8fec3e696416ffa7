"""Meshes, their motion and slice propagation in the scene and in the panel."""
