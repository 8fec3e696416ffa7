"""``DICOMLib`` and ``slicer.dicomDatabase``: a database of files, what plugins are made of, what its browser does."""

from pathlib import Path

import slicer

__all__ = ["DICOMLoadable", "DICOMPlugin", "Database", "load_selected", "qSlicerDICOMExportable"]


class DICOMLoadable:
    """Something that can be loaded."""

    def __init__(self):
        self.files, self.name, self.tooltip, self.warning = [], "Unknown", "", ""
        self.selected, self.confidence = False, 0.5


class qSlicerDICOMExportable:
    """Something that can be exported."""

    def __init__(self):
        self.name = self.tooltip = self.directory = self.pluginClass = ""
        self.subjectHierarchyItemID, self.confidence = 0, 0.5


class Database:
    """The files of a folder by series; tags are texts."""

    def __init__(self, folder: str | Path):
        import pydicom  # part of Slicer, not of what panels import

        self._headers = {
            str(path): pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(Path(folder).rglob("*.dcm"))
        }

    def fileValue(self, file: str, tag: str) -> str:
        """Text of a tag, as "gggg,eeee", of a file; empty if it has none."""
        element = self._headers[file].get(tuple(int(part, 16) for part in tag.split(",")))
        if element is None or element.value is None:
            return ""
        multiple = not isinstance(element.value, str) and hasattr(element.value, "__iter__")
        return "\\".join(map(str, element.value)) if multiple else str(element.value)

    def fileForInstance(self, uid: str) -> str:
        """File of an instance; empty if there is none."""
        return next((file for file, header in self._headers.items() if header.SOPInstanceUID == uid), "")

    def series(self) -> list[list[str]]:
        """Files of every series."""
        found: dict[str, list[str]] = {}
        for file, header in self._headers.items():
            found.setdefault(header.SeriesInstanceUID, []).append(file)
        return list(found.values())


class DICOMPlugin:
    """Base of the plugins."""

    def __init__(self):
        self.loadType, self.tags = "Generic DICOM", {"seriesDescription": "0008,103E"}

    def addSeriesInSubjectHierarchy(self, loadable, dataNode):
        """Item of a series, with the instance UIDs of its files, below the patient and study of the first."""
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        names = slicer.vtkMRMLSubjectHierarchyConstants
        value = slicer.dicomDatabase.fileValue
        item = tree.GetItemByDataNode(dataNode) or tree.CreateItem(tree.GetSceneItemID(), dataNode)
        series, study, patient = (value(loadable.files[0], tag) for tag in ("0020,000E", "0020,000D", "0010,0020"))
        tree.SetItemUID(item, names.GetDICOMUIDName(), series)
        uids = " ".join(value(file, "0008,0018") for file in loadable.files)
        tree.SetItemUID(item, names.GetDICOMInstanceUIDName(), uids)
        slicer.vtkSlicerSubjectHierarchyModuleLogic.InsertDicomSeriesInHierarchy(tree, patient, study, series)


def load_selected(database: Database) -> list[str]:
    """Examine and load all series with all plugins, as the DICOM module does; returns the names of what was listed."""
    slicer.dicomDatabase = database
    listed = []
    for make in slicer.modules.dicomPlugins.values():
        plugin = make()
        for loadable in plugin.examineForImport(database.series()):
            listed.append(loadable.name)
            if loadable.selected and not plugin.load(loadable):
                raise RuntimeError(f"{loadable.name} was not loaded.")
    return listed
