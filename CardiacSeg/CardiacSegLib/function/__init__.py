"""Ventricular function: volumes, ejection, filling, mass, wall thickness by segment, strain (Docs/Function.md)."""

from .curves import end_frames
from .regional import Regional, Segment
from .volumes import CURVES, Function, measure

__all__ = ["CURVES", "Function", "Regional", "Segment", "end_frames", "measure"]
