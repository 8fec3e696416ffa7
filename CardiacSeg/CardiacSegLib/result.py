"""What segmenting a short-axis cine gives: labels, measures, and how good they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from CardiacLib.types.measures.marks import Mark
from CardiacLib.types.measures.ranges import NormalRanges
from CardiacLib.types.measures.volumes import VolumeRow
from CardiacLib.types.segmentation import Segmentation
from CardiacLib.types.values import job_value

from .function import Function
from .quality import QualityReport


@job_value
@dataclass(frozen=True)
class SegmentResult:
    """Labels of a cine with what is measured of them.

    Attributes:
        segmentation: labels of all frames, or of one.
        function: of these labels; None where a run was stopped and only a part of them is there.
        quality: their light; None where the network's probabilities are not known.
        marks: light, reason and uncertainty of each measurement, by key of ``Function.to_dict()``.
        volumes: the table of volumes, as far as labels tell it.
        frames: light and reason of the labels of each frame.
        ranges: normal ranges of the measurements, or why there are none.
    """

    segmentation: Segmentation
    function: Function | None
    quality: QualityReport | None
    marks: Mapping[str, Mark] = field(default_factory=dict)
    volumes: tuple[VolumeRow, ...] = ()
    frames: tuple[Mark, ...] = ()
    ranges: NormalRanges = field(default_factory=NormalRanges)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the labels, and why a measure is missing, one sentence each."""
        return (*self.segmentation.notes, *(self.function.notes if self.function else ()))
