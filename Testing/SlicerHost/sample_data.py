"""``SampleData``: registration of samples as Slicer's module of that name does it, and what its buttons do."""

import slicer

__all__ = ["SampleDataLogic", "SampleDataSource"]


class SampleDataSource:
    """One sample: lists of one length, made of a single address if that is text."""

    def __init__(self, sampleName, uris, fileNames, nodeNames, checksums, customDownloader, thumbnailFileName):
        if isinstance(uris, str):
            uris, fileNames, nodeNames, checksums = [uris], [fileNames], [nodeNames], [checksums]
        if not len(uris) == len(fileNames) == len(nodeNames):
            raise ValueError("All fields of sample data source must have the same length")
        self.sampleName, self.sampleDescription = sampleName, sampleName
        self.uris, self.fileNames, self.nodeNames, self.checksums = uris, fileNames, nodeNames, checksums
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName

    def __eq__(self, other):
        return str(vars(self)) == str(vars(other))

    __hash__ = None


class SampleDataLogic:
    """Samples by category, in ``slicer.modules.sampleDataSources``."""

    @staticmethod
    def registerCustomSampleDataCategory(category, title):
        """Name a category (since Slicer 5.12)."""
        _sources().setdefault(category, [])

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        checksums=None,
    ):
        """Add a sample; one that is there already is not added again."""
        source = SampleDataSource(
            sampleName, uris, fileNames, nodeNames, checksums, customDownloader, thumbnailFileName
        )
        listed = _sources().setdefault(category, [])
        if source not in listed:
            listed.append(source)


def _sources() -> dict:
    if not hasattr(slicer.modules, "sampleDataSources"):
        slicer.modules.sampleDataSources = {}
    return slicer.modules.sampleDataSources


def click(category: str, sampleName: str):
    """Press the button of a sample in the Sample Data module: its own downloader gets the source."""
    (source,) = (source for source in _sources()[category] if source.sampleName == sampleName)
    return source.customDownloader(source)
