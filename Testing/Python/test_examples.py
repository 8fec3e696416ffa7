"""The examples (``>>>``) of the public entry points, run as they stand there, each in a folder of its own."""

import doctest
import importlib
from functools import cache

import pytest

import CardiacLib.phantom

ENTRY_POINTS = (
    "CardiacLib.phantom.study.make_phantom",
    "CardiacLib.types.cine.Cine",
    "CardiacLib.types.labels.LabelMap",
    "CardiacLib.types.values.write_value",
    "CardiacLib.readers.image.read_image",
    "CardiacLib.readers.study.read_study",
    "CardiacLib.readers.labels.label_files.read_labels",
    "CardiacLib.writers.images.write_labels",
    "CardiacSegLib.function.volumes.measure",
    "CardiacSegLib.quality.summary.assess",
    "CardiacLandmarksLib.measure.annulus.measure_annulus",
    "BiVMeshLib.exporters.export",
    "BiVMeshLib.heart.heart.load_heart",
    "cineheart.steps.measure_labels",
    "cineheart.steps.measure_edited_points",
)
SLOW_ENTRY_POINTS = (
    "CardiacSegLib.segment.segmenter.segment_cine",
    "CardiacLandmarksLib.pipeline.find_landmarks",
    "BiVMeshLib.pipeline.build_mesh",
)
"""Those that run a network or mesh a heart."""
cached_phantom = cache(CardiacLib.phantom.make_phantom)


@pytest.mark.parametrize(
    "name", [*ENTRY_POINTS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_ENTRY_POINTS)]
)
def test_example(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CardiacLib.phantom, "make_phantom", cached_phantom)
    module_name, _, shown = name.rpartition(".")
    module = importlib.import_module(module_name)
    (found,) = doctest.DocTestFinder(recurse=False).find(getattr(module, shown), shown, module)
    assert found.examples, f"{name} has no example"
    text = []
    result = doctest.DocTestRunner().run(found, out=text.append)
    assert result.failed == 0, "".join(text)
