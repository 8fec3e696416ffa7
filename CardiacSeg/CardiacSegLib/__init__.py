"""Short-axis segmentation: networks, preprocessing, inference, clean-up and ventricular function."""

from .function import Function, measure
from .infer import Segmenter, segment

__all__ = ["Function", "Segmenter", "measure", "segment"]
