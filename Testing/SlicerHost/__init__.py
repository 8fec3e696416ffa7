"""Stands in for the Slicer application in tests: real MRML (slicer-core), real Qt (PySide6), the modules' real files.

``with SlicerHost() as host`` gives ``qt``, ``ctk``, ``slicer.app`` and the Python layer that module files import
(``slicer.ScriptedLoadableModule``, ``slicer.parameterNodeWrapper``, ``slicer.i18n``, ``SampleData``, ``DICOMLib``),
as far as the panels use them and as Slicer 5.12 documents them; an attribute that Qt does not know is refused, as in
PythonQt. On leaving, everything is taken back, so other tests of the same process see plain Python.

Qt properties are attributes here (``label.text = "x"``), as in PythonQt; the setters (``setText``) are not offered.
"""

from .application import SlicerHost

__all__ = ["SlicerHost"]
