"""Ten valve points of long-axis cines: detection, trajectories over the cycle, valve planes, annulus motion."""

from .detect.detector import Detection, Detector
from .pipeline import open_detector

__all__ = ["Detection", "Detector", "open_detector"]
