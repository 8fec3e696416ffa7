"""The four-chamber view: labels of its frames, and what their LV pool tells of volume, length and strain."""

from .measure import LongAxisMeasures, measure_long_axis
from .result import LongAxisResult, label_long_axis

__all__ = ["LongAxisMeasures", "LongAxisResult", "label_long_axis", "measure_long_axis"]
