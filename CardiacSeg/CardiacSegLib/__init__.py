"""Short-axis segmentation: networks, preprocessing, inference, clean-up and ventricular function."""

from .function import Function, measure
from .infer import Segmenter, open_segmenter, segment

__all__ = ["Function", "Segmenter", "measure", "open_segmenter", "segment"]
