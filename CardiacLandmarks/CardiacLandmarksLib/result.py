"""What finding valve points gives: the points, and the motion of the annuli."""

from dataclasses import dataclass

from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
from CardiacLandmarksLib.measure.annulus import Annulus
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.measures.volumes import VolumeRow
from CardiacLib.types.values import job_value


@job_value
@dataclass(frozen=True)
class PointsResult:
    """Valve points with what is measured of them.

    Attributes:
        landmarks: at the frames that were asked for.
        annulus: motion and size of the annuli at the same frames; None where nothing can be measured.
        found: the points view by view, with their paths; None where they came back from a worker.
        four_chamber: labels of the 4CH cine; None where nobody asked for them or there is no such view.
        volume: of its LV pool by area and length.
    """

    landmarks: Landmarks
    annulus: Annulus | None
    found: StudyLandmarks | None = None
    four_chamber: LabelMap | None = None
    volume: VolumeRow | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Of the detection and of the measures, one sentence each."""
        return (*self.landmarks.notes, *(self.annulus.notes if self.annulus else ()))
