"""Short-axis segmentation: networks, preprocessing, inference, clean-up and ventricular function."""

from .function import Function, measure
from .segment.segmenter import Segmenter, open_segmenter, segment_cine

__all__ = ["Function", "Segmenter", "measure", "open_segmenter", "segment_cine"]
