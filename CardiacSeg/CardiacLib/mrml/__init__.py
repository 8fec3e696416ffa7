"""MRML: cines, labels, meshes and results as 3D Slicer scene nodes. The only code that imports slicer.

The library's LPS geometry becomes Slicer's RAS here and nowhere else. Everything works on ``slicer.mrmlScene``:
the application's own inside Slicer, the one that :func:`CardiacLib.mrml.nodes.host.plain_host` makes elsewhere.
"""
