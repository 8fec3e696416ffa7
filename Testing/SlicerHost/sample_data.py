"""``SampleData``: registration of samples, the buttons and ``downloadSample``, as in Slicer's module of that name."""

import os
import urllib.request

import slicer

__all__ = ["SampleDataLogic", "SampleDataSource", "downloadSample"]


class SampleDataSource:
    """One sample: lists of one length, made of a single address if that is text."""

    def __init__(
        self,
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        checksums=None,
        loadFileTypes=None,
        customDownloader=None,
        thumbnailFileName=None,
    ):
        if isinstance(uris, str):
            uris, fileNames, nodeNames = [uris], [fileNames], [nodeNames]
            checksums, loadFileTypes = [checksums], [loadFileTypes]
        if not len(uris) == len(fileNames) == len(nodeNames):
            raise ValueError("All fields of sample data source must have the same length")
        self.sampleName, self.sampleDescription = sampleName, sampleName
        self.uris, self.fileNames, self.nodeNames, self.checksums = uris, fileNames, nodeNames, checksums
        self.loadFileTypes = loadFileTypes
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
    def registerCustomSampleDataSource(category="Custom", **stated):
        """Add a sample; one that is there already is not added again."""
        source = SampleDataSource(**stated)
        listed = _sources().setdefault(category, [])
        if source not in listed:
            listed.append(source)

    def sourceForSampleName(self, sampleName):
        """The sample of a name, or None."""
        listed = [source for sources in _sources().values() for source in sources]
        return next((source for source in listed if source.sampleName == sampleName), None)

    def downloadFromSource(self, source) -> list:
        """Fetch the files of a sample into the scene's cache and load them; its own downloader is not asked."""
        cache = slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()
        nodes = []
        for uri, name, kind in zip(source.uris, source.fileNames, source.loadFileTypes, strict=True):
            path = os.path.join(cache, name)
            if not os.path.isfile(path):
                urllib.request.urlretrieve(uri, path)
            nodes.append(slicer.app.coreIOManager().load(kind, path)[0])
        return nodes


def downloadSample(sampleName):
    """What scripts call: fetches and loads a sample; returns its first node."""
    logic = SampleDataLogic()
    return logic.downloadFromSource(logic.sourceForSampleName(sampleName))[0]


def _sources() -> dict:
    if not hasattr(slicer.modules, "sampleDataSources"):
        slicer.modules.sampleDataSources = {}
    return slicer.modules.sampleDataSources


def click(category: str, sampleName: str):
    """Press the button of a sample in the Sample Data module: its own downloader gets the source, if it has one."""
    (source,) = (source for source in _sources()[category] if source.sampleName == sampleName)
    return (source.customDownloader or SampleDataLogic().downloadFromSource)(source)
