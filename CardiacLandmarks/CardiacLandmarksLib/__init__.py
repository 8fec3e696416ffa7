"""Ten valve points of long-axis cines: detection, trajectories over the cycle, valve planes, annulus motion."""

from .detector import Detection, Detector, open_detector

__all__ = ["Detection", "Detector", "open_detector"]
