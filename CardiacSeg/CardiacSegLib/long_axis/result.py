"""Label a four-chamber cine and measure it."""

from dataclasses import dataclass, replace

import numpy as np

from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import LONG_AXIS_BUNDLE, NetworkChoice, RunsOn
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.values import job_value
from CardiacSegLib.segment.whole_slice import WholeSliceSegmenter

from .measure import LongAxisMeasures, measure_long_axis


@job_value
@dataclass(frozen=True)
class LongAxisResult:
    """Of the four-chamber view.

    Attributes:
        labels: of every frame, on the grid of the cine.
        measures: of the LV pool; None where it cannot be measured.
        bundle: name of the network.
    """

    labels: LabelMap
    measures: LongAxisMeasures | None
    bundle: str

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence each."""
        return self.measures.notes() if self.measures else ("4CH: the LV pool of this view cannot be measured.",)


def label_long_axis(
    cine: Cine,
    mitral: np.ndarray | None = None,
    *,
    runs_on: RunsOn | None = None,
    bundle: str = LONG_AXIS_BUNDLE,
    progress: Progress = silent,
) -> LongAxisResult:
    """Label every frame of a four-chamber cine, and measure its LV pool.

    Args:
        cine: of one slice.
        mitral: (T, 2, 2) row and column, in pixels, of septal and free-wall mitral point; None measures nothing.
        runs_on: device and backend.
        bundle: name or folder of the network.
        progress: called with the fraction done.

    Raises:
        InputError: the cine is another view, or the network cannot be used.
    """
    network = WholeSliceSegmenter(NetworkChoice(bundle, runs_on or RunsOn()))
    labels = network.segment(cine, progress=progress).labels
    labels = replace(labels, source=cine.source)
    return LongAxisResult(labels, None if mitral is None else measure_long_axis(labels, mitral), bundle)
