"""Segment with the memory there is: smaller batches where the first does not fit, and at last the processor."""

import logging
from dataclasses import replace

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.cine import Cine
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.segmentation import Segmentation

from .segmenter import open_segmenter
from .slice_network import OnFrame

_SAID = ("out of memory", "not enough memory", "can't allocate memory")
"""What torch says, as a RuntimeError, when memory is short on a graphics card or on the processor."""


def segment_within_memory(
    cine: Cine,
    bundle: str,
    device: str = "auto",
    backend: str = "auto",
    quality: str = "fast",
    progress: Progress = silent,
    landmarks: Landmarks | None = None,
    on_frame: OnFrame | None = None,
) -> Segmentation:
    """As :meth:`SliceNetwork.segment`; a note says with which batch or device it was done when memory was short.

    Raises:
        InputError: as there, or not even one slice at a time fits into the memory of the processor.
    """
    progress(0.0, "loading the network")
    segmenter = open_segmenter(bundle, device, backend, quality)
    notes: tuple[str, ...] = ()
    while True:
        try:
            found = segmenter.segment(cine, part(progress, 0.05, 1.0), landmarks, on_frame)
            return replace(found, notes=(*notes, *found.notes))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Out of the handler: its traceback would keep the tensors that did not fit.
        predictor = segmenter.predictor
        if predictor.batch > 1:
            predictor.batch //= 2
            note = f"Memory was short: the network ran on {predictor.batch} slices at a time."
        elif predictor.device.type != "cpu":
            note = f"The memory of '{predictor.device}' was too short: the network ran on the processor."
            segmenter = open_segmenter(bundle, "cpu", "auto" if backend == "auto" else "torch", quality)
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


def _free(device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
