"""Ventricular function: volumes, ejection, filling, mass, wall thickness by segment, strain (Docs/Function.md)."""

from .by_hand import correct, set_by_hand
from .curves import end_frames
from .records import CURVES, INDEXED, Function, Myocardium, Ventricle
from .regional import Regional, Segment
from .volumes import measure

__all__ = [
    "CURVES",
    "INDEXED",
    "Function",
    "Myocardium",
    "Regional",
    "Segment",
    "Ventricle",
    "correct",
    "end_frames",
    "measure",
    "set_by_hand",
]
