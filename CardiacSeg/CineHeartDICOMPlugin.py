"""CineHeartDICOMPlugin: offers cine cardiac studies in Slicer's DICOM module. It has no panel of its own."""

import slicer
from DICOMLib import DICOMLoadable, DICOMPlugin
from slicer.i18n import tr as _


class CineHeartDICOMPluginClass(DICOMPlugin):
    """Hands the DICOM module's calls on to CardiacLib.mrml.dicom.plugin."""

    def __init__(self):
        from CardiacLib.mrml.dicom.examine import TAGS

        super().__init__()
        self.loadType = _("Cine cardiac study")
        self.tags.update(TAGS)  # the database fetches these beforehand

    def examineForImport(self, fileLists):
        """The studies among some series, as DICOMLoadables."""
        from CardiacLib.mrml.dicom.plugin import loadables

        return loadables(self, fileLists, DICOMLoadable)

    def load(self, loadable):
        """Load a study; no package is installed for it."""
        from CardiacLib.mrml.dicom.plugin import load
        from CardiacSeg import worker

        with slicer.util.tryWithErrorDisplay(_("The cine study could not be loaded."), waitCursor=True):
            return load(self, loadable, worker())

    def examineForExport(self, subjectHierarchyItemID):
        """The segmentations that can be given back, as exportables."""
        from CardiacLib.mrml.dicom.plugin import exportables

        return exportables(self, subjectHierarchyItemID, slicer.qSlicerDICOMExportable)

    def export(self, exportables):
        """Write them; returns the first message of what could not be written, empty if all was."""
        from CardiacLib.mrml.dicom.plugin import export
        from CardiacSeg import worker

        return next(filter(None, (export(exportable, worker()) for exportable in exportables)), "")


class CineHeartDICOMPlugin:
    """How Slicer finds the plugin: a module without a panel, which adds it to the list of the DICOM module."""

    def __init__(self, parent):
        parent.title = "CineHeart DICOM Plugin"
        parent.categories = ["Developer Tools.DICOM Plugins"]
        parent.contributors = ["CineHeart contributors"]
        parent.helpText = "Plugin to the DICOM module for cine cardiac studies. It has no panel of its own."
        parent.acknowledgementText = "Part of CineHeart."
        parent.hidden = True
        if not hasattr(slicer.modules, "dicomPlugins"):  # this module may be found before DICOM itself
            slicer.modules.dicomPlugins = {}
        slicer.modules.dicomPlugins["CineHeartDICOMPlugin"] = CineHeartDICOMPluginClass
