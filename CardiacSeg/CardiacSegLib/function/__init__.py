"""Ventricular function: volumes, ejection, filling, mass, wall thickness by segment, strain (Docs/Function.md)."""

from .curves import end_frames
from .records import CURVES, Function, Myocardium, Ventricle
from .regional import Regional, Segment
from .volumes import measure

__all__ = ["CURVES", "Function", "Myocardium", "Regional", "Segment", "Ventricle", "end_frames", "measure"]
