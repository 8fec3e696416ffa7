"""Valve points and their measures in the scene and in the panel."""
