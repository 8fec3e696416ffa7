"""The result of one study: what ``cineheart run`` hands to the report, the scene and the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
    from CardiacLandmarksLib.measure.annulus import Annulus
    from CardiacLib.readers import Study
    from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
    from CardiacLib.types.labels import LabelMap
    from CardiacSegLib.function import Function
    from CardiacSegLib.quality import QualityReport


@dataclass(frozen=True)
class StudyResult:
    """Everything that one run produced, in memory.

    Attributes:
        study: the cines as read, by view; ``study.cines["sax"]`` is always there.
        labels: labels of every short-axis frame, on the grid of ``study.cines["sax"]``.
        function: volumes per frame, ED and ES, EDV, ESV, SV, EF and mass.
        mesh: biventricular mesh of end-diastole, or None where none could be built (``notes`` says why).
        seconds: wall time of each step by its name, in the order they ran.
        notes: warnings of the run, one sentence each (the study keeps the reader's own).
        bundle: name of the network that made the labels; empty where they came from elsewhere.
        quality: flags, confidence and traffic light of the labels; None where nobody judged them.
        landmarks: valve points; None without a long-axis view or a network for them.
        annulus: what was measured of them; None where nothing could be.
        motion: the mesh over the cycle; None where nobody asked for it or it could not be made (``notes`` says why).
        label_notes: what was done to the labels beyond the network, one sentence each; nothing to worry about.
    """

    study: Study
    labels: LabelMap
    function: Function
    mesh: BiVMesh | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    bundle: str = ""
    quality: QualityReport | None = None
    landmarks: StudyLandmarks | None = None
    annulus: Annulus | None = None
    motion: MovingMesh | None = None
    label_notes: tuple[str, ...] = ()
