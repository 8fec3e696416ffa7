"""Segment with the memory there is: smaller batches where the first does not fit, and at last the processor."""

import logging
from dataclasses import replace

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.types.cine import Cine
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.segmentation import Segmentation

from .segmenter import open_segmenter
from .slice_network import OnFrame

_SAID = ("out of memory", "not enough memory", "can't allocate memory")
"""What torch says, as a RuntimeError, when memory is short on a graphics card or on the processor."""


def segment_within_memory(
    cine: Cine,
    choice: NetworkChoice,
    *,
    landmarks: Landmarks | None = None,
    progress: Progress = silent,
    on_frame: OnFrame | None = None,
) -> Segmentation:
    """As :meth:`CineSegmenter.segment` by the network of a choice, with the memory there is.

    A note says with which batch or device it was done when memory was short.

    Raises:
        InputError: as there, or not even one slice at a time fits into the memory of the processor.
    """
    progress(0.0, "loading the network")
    segmenter, labelling = open_segmenter(choice), part(progress, 0.05, 1.0)
    notes: tuple[str, ...] = ()
    while True:
        try:
            found = segmenter.segment(cine, landmarks=landmarks, progress=labelling, on_frame=on_frame)
            return replace(found, notes=(*notes, *found.notes))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Out of the handler: its traceback would keep the tensors that did not fit.
        predictor = segmenter.predictor
        if predictor.batch > 1:
            predictor.batch //= 2
            note = f"Memory was short: the network ran on {predictor.batch} slices at a time."
        elif predictor.device != "cpu":
            note = f"The memory of '{predictor.device}' was too short: the network ran on the processor."
            segmenter = open_segmenter(replace(choice, runs_on=RunsOn("cpu", choice.runs_on.backend)))
        else:
            raise InputError(
                f"{cine.source}: there is not enough memory to label it; close other programs or take fewer frames."
            )
        _free(predictor.device)
        notes = (note,)
        logging.warning(note)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python's or torch's error means that memory was short."""
    return isinstance(error, MemoryError) or any(said in str(error).lower() for said in _SAID)


def _free(device: str) -> None:
    """Give back what PyTorch keeps of the memory of a graphics card."""
    if device.startswith("cuda"):
        import torch  # is loaded: it ran the network

        torch.cuda.empty_cache()
