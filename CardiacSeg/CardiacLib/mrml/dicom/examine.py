"""Which series of the DICOM database are the cines of one study, told by tags that the database has at hand."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from CardiacLib.readers.planes import PARALLEL_DEGREES

TAGS = {
    "modality": "0008,0060",
    "studyInstanceUID": "0020,000D",
    "seriesInstanceUID": "0020,000E",
    "instanceUID": "0008,0018",
    "position": "0020,0032",
    "orientation": "0020,0037",
    "numberOfFrames": "0028,0008",
}
LEAST_FRAMES, LEAST_SLICES = 5, 3
"""Of a cine, and of a stack of them that can be the short axis."""
Value = Callable[[str, str], str]
"""Text of a tag (one of ``TAGS``) of a file; empty where it has none."""


@dataclass(frozen=True)
class CineStudy:
    """The cines of one study.

    Attributes:
        uid: study instance UID.
        series: files of each cine series.
        n_slices: of the largest stack of parallel planes; 0 where the files do not say it outside their frames.
        n_planes: other planes, such as long-axis views.
        n_frames: of most of the cines.
    """

    uid: str
    series: tuple[tuple[str, ...], ...]
    n_slices: int
    n_planes: int
    n_frames: int

    @property
    def confidence(self) -> float:
        """How sure it is, 0 to 1, that the user wants it loaded so: with long-axis views it is a cardiac study."""
        return 0.95 if self.n_planes and self.n_slices else 0.8


def find_cine_studies(file_lists: Iterable[Sequence[str]], value: Value) -> list[CineStudy]:
    """The studies among series that hold a stack of cines.

    Args:
        file_lists: files of each series.
        value: reads a tag.
    """
    by_study: dict[str, list[tuple[Sequence[str], Counter]]] = defaultdict(list)
    for files in file_lists:
        if files and value(files[0], TAGS["modality"]) == "MR":
            places = _places(files, value)
            if places and max(places.values()) >= LEAST_FRAMES:
                by_study[value(files[0], TAGS["studyInstanceUID"])].append((files, places))
    found = (_study(uid, series) for uid, series in by_study.items())
    return [study for study in found if study is not None]


def _places(files: Sequence[str], value: Value) -> Counter:
    """Number of frames at each place: numbers of position and orientation, empty where a file holds many frames."""
    places: Counter = Counter()
    for file in files:
        frames = int(value(file, TAGS["numberOfFrames"]) or 1)
        text = f"{value(file, TAGS['position'])}\\{value(file, TAGS['orientation'])}"
        numbers = () if frames > 1 else tuple(round(float(number), 2) for number in text.split("\\") if number)
        places[numbers if len(numbers) == 9 else ()] += frames
    return places


def _study(uid: str, series: list[tuple[Sequence[str], Counter]]) -> CineStudy | None:
    places = sum((counter for _, counter in series), Counter())
    cines = [place for place, count in places.items() if place and count >= LEAST_FRAMES]
    normals = [np.cross(place[3:6], place[6:9]) for place in cines]
    least = np.cos(np.radians(PARALLEL_DEGREES))
    stack = max((sum(abs(normal @ other) > least for other in normals) for normal in normals), default=0)
    if stack < LEAST_SLICES and places[()] < LEAST_SLICES * LEAST_FRAMES:
        return None
    frames = Counter(places[place] for place in cines).most_common(1)
    files = tuple(tuple(names) for names, _ in series)
    n_slices = stack if stack >= LEAST_SLICES else 0
    return CineStudy(uid, files, n_slices, len(cines) - n_slices, frames[0][0] if frames else places[()])
