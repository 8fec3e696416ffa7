"""The result of one study: what ``cineheart run`` hands to the report, the scene and the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from BiVMeshLib.result import MeshResult
    from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
    from CardiacLandmarksLib.measure.annulus import Annulus
    from CardiacLandmarksLib.result import PointsResult
    from CardiacLib.readers import Study
    from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
    from CardiacLib.types.labels import LabelMap
    from CardiacSegLib.function import Function
    from CardiacSegLib.quality import QualityReport
    from CardiacSegLib.result import SegmentResult


@dataclass(frozen=True)
class StudyResult:
    """Everything that one run produced, in memory.

    Attributes:
        study: the cines as read, by view; ``study.cines["sax"]`` is always there.
        segmented: labels of every short-axis frame on the grid of that cine, their measures and their light.
        points: valve points at the same frames; None without a long-axis view or a network for them.
        meshed: mesh of end-diastole and its motion, or None where none could be built (``notes`` says why).
        seconds: wall time of each step by its name, in the order they ran.
        notes: warnings of the run, one sentence each (the study keeps the reader's own).
        bundle: name of the network that made the labels; empty where they came from elsewhere.
    """

    study: Study
    segmented: SegmentResult
    points: PointsResult | None = None
    meshed: MeshResult | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    bundle: str = ""

    @property
    def labels(self) -> LabelMap:
        """Of every short-axis frame."""
        return self.segmented.segmentation.labels

    @property
    def label_notes(self) -> tuple[str, ...]:
        """What was done to the labels beyond the network, one sentence each; nothing to worry about."""
        return self.segmented.segmentation.notes

    @property
    def function(self) -> Function:
        """What the labels say about the ventricles."""
        return self.segmented.function

    @property
    def quality(self) -> QualityReport | None:
        """Flags, confidence and traffic light of the labels; None where nobody judged them."""
        return self.segmented.quality

    @property
    def landmarks(self) -> StudyLandmarks | None:
        """Valve points view by view."""
        return self.points.found if self.points else None

    @property
    def annulus(self) -> Annulus | None:
        """What was measured of the valve points; None where nothing could be."""
        return self.points.annulus if self.points else None

    @property
    def mesh(self) -> BiVMesh | None:
        """Of end-diastole."""
        return self.meshed.mesh if self.meshed else None

    @property
    def motion(self) -> MovingMesh | None:
        """The mesh over the cycle; None where nobody asked for it or it could not be made (``notes`` says why)."""
        return self.meshed.moving if self.meshed else None
