"""Short memory: smaller batches, then the processor, then one clear sentence; every step is told."""

from types import SimpleNamespace

import numpy as np
import pytest

from CardiacLib.errors import InputError
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import Segmentation
from CardiacSegLib.segment import memory

CINE = Cine(np.zeros((1, 2, 4, 4), np.float32), np.eye(4), [0.0], "sax", "study")


def on(device: str) -> NetworkChoice:
    return NetworkChoice("net", RunsOn(device))


@pytest.fixture
def opened(monkeypatch) -> list[tuple[str, str]]:
    """Device and backend of every segmenter that was opened; they need the memory of ``opened.fits`` slices or less."""

    class Opened(list):
        fits: dict[str, int]
        error: Exception = RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    found = Opened()

    def open_segmenter(choice):
        device = choice.runs_on.device
        found.append((device, choice.runs_on.backend))
        predictor = SimpleNamespace(batch=4, device=device)

        def segment(cine, landmarks, progress, on_frame):
            if predictor.batch > found.fits[device]:
                raise found.error
            labels = LabelMap(np.zeros(cine.frames.shape, np.uint8), cine.ijk_to_lps, cine.times_ms)
            return Segmentation(labels, None, ("the network's note",))

        return SimpleNamespace(predictor=predictor, segment=segment)

    monkeypatch.setattr(memory, "open_segmenter", open_segmenter)
    monkeypatch.setattr(memory, "_free", lambda device: None)
    return found


def test_enough_memory_is_not_mentioned(opened):
    opened.fits = {"cuda": 4}
    assert memory.segment_within_memory(CINE, on("cuda")).notes == ("the network's note",)


def test_batches_get_smaller(opened):
    opened.fits = {"cuda": 1}
    notes = memory.segment_within_memory(CINE, on("cuda")).notes
    assert notes == ("Memory was short: the network ran on 1 slices at a time.", "the network's note")
    assert opened == [("cuda", "auto")]


def test_at_last_the_processor_does_it(opened):
    opened.fits = {"cuda": 0, "cpu": 4}
    assert "ran on the processor" in memory.segment_within_memory(CINE, on("cuda")).notes[0]
    assert opened == [("cuda", "auto"), ("cpu", "auto")]


def test_too_little_memory_everywhere_is_one_sentence(opened):
    opened.fits, opened.error = {"cpu": 0}, MemoryError()
    with pytest.raises(InputError, match="not enough memory"):
        memory.segment_within_memory(CINE, on("cpu"))


def test_other_errors_are_not_taken_for_short_memory(opened):
    opened.fits, opened.error = {"cpu": 0}, RuntimeError("sizes of tensors must match")
    with pytest.raises(RuntimeError, match="must match"):
        memory.segment_within_memory(CINE, on("cpu"))
