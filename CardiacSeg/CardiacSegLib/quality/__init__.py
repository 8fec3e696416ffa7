"""Quality control of a segmentation: confidence, rules, and a traffic light (Docs/QualityControl.md)."""

from .flags import Flag
from .marks import frame_marks, mark_measurements
from .summary import QualityReport, assess

__all__ = ["Flag", "QualityReport", "assess", "frame_marks", "mark_measurements"]
