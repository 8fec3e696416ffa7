"""Labelled cases of one heart together: its frames on one grid."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent
from CardiacLib.types.cine import Cine

from .read import LabelledCase, read_case
from .records import NAMES, PHASES, UNKNOWN, CaseRecord
from .subjects import phases_of_pair


@dataclass(frozen=True)
class LabelledHeart:
    """Frames of one subject in one view that lie on one grid.

    Attributes:
        records: one for every frame; the frames of a cine share theirs.
        cine: T frames, those that are labelled.
        labels: uint8 (T, K, J, I), as of :class:`~CardiacLib.datasets.read.LabelledCase`.
    """

    records: tuple[CaseRecord, ...]
    cine: Cine
    labels: np.ndarray

    @property
    def record(self) -> CaseRecord:
        """Of the first frame."""
        return self.records[0]

    @property
    def phases(self) -> tuple[str, ...]:
        """ED, ES or empty, of every frame."""
        return tuple(record.phase for record in self.records)

    @property
    def drawn(self) -> np.ndarray:
        """(T, 3) whether LV, myocardium and RV are drawn."""
        return np.array([[name in record.structures for name in NAMES] for record in self.records])

    @property
    def opposite(self) -> np.ndarray:
        """(T,) for every frame the one most unlike it: the smallest pool's if its own is nearer the largest, or else
        the largest pool's; the frame itself where there is no other."""
        which = NAMES["lv"] if self.drawn[:, 0].any() else NAMES["rv"]
        volumes = (self.labels == which).sum((1, 2, 3))
        large, small = int(volumes.argmax()), int(volumes.argmin())
        middle = (volumes[large] + volumes[small]) / 2
        return np.where(volumes >= middle, small, large) if large != small else np.arange(len(volumes))[::-1]

    def at_ed_and_es(self) -> "LabelledHeart | None":
        """The heart at ED and ES, in this order; None where one of them is not among its frames."""
        if not set(PHASES) <= set(self.phases):
            return None
        frames = [self.phases.index(phase) for phase in PHASES]
        return LabelledHeart(tuple(self.records[t] for t in frames), self.cine.only(frames), self.labels[frames])


def read_hearts(
    cases: Iterable[CaseRecord], *, unlabelled: bool = False, progress: Progress = silent
) -> Iterator[LabelledHeart]:
    """Read cases and give those of one subject, view and grid together.

    Args:
        cases: of any data set.
        unlabelled: forget the labels: of these cases the images are used only.
        progress: called for each case.

    Raises:
        InputError: as of :func:`~CardiacLib.datasets.read.read_case`.
    """
    ordered = sorted(cases, key=_place)
    done = 0
    for _, group in groupby(ordered, key=_place):
        read = []
        for record in group:
            progress(done / len(ordered), f"reading {record.name}")
            done += 1
            read.append(read_case(record))
        read = [case for case in read if case.known.any() or unlabelled]
        if unlabelled:
            read = [_without_labels(case) for case in read]
        for same in _by_grid(_with_phases(read)):
            yield _joined(same)
    progress(1.0, "read")


def require_complete(hearts: Iterable[LabelledHeart]) -> Iterator[LabelledHeart]:
    """The hearts, all of whose structures are drawn in all slices.

    Raises:
        InputError: of one they are not.
    """
    for heart in hearts:
        if not heart.drawn.all() or (heart.labels == UNKNOWN).any():
            raise InputError(
                f"{heart.record.label}: draws {' '.join(heart.record.structures) or 'nothing'} only, or leaves slices "
                "out; this network needs the LV, its myocardium and the RV in every slice."
            )
        yield heart


def _place(record: CaseRecord) -> tuple[str, str]:
    return record.subject, record.view


def _with_phases(cases: list[LabelledCase]) -> list[LabelledCase]:
    volumes = [float((case.labels == NAMES[name]).sum()) for case in cases for name in case.record.structures[:1]]
    if len(volumes) != len(cases):
        return cases
    records = phases_of_pair([case.record for case in cases], volumes)
    return [replace(case, record=record) for case, record in zip(cases, records, strict=True)]


def _by_grid(cases: list[LabelledCase]) -> list[list[LabelledCase]]:
    groups: list[list[LabelledCase]] = []
    for case in cases:
        same = next((g for g in groups if _same_grid(g[0].cine, case.cine)), None)
        if same is None:
            groups.append([case])
        else:
            same.append(case)
    return groups


def _same_grid(a: Cine, b: Cine) -> bool:
    return a.frames.shape[1:] == b.frames.shape[1:] and np.allclose(a.ijk_to_lps, b.ijk_to_lps, atol=1e-2)


def _joined(cases: list[LabelledCase]) -> LabelledHeart:
    cine = cases[0].cine
    if len(cases) > 1:
        cine = cine.with_changes(frames=np.concatenate([case.cine.frames for case in cases]), times_ms=None)
    records = tuple(case.record for case in cases for _ in case.cine.frames)
    return LabelledHeart(records, cine, np.concatenate([case.labels for case in cases]))


def _without_labels(case: LabelledCase) -> LabelledCase:
    record = replace(case.record, structures=())
    return replace(case, record=record, labels=np.full_like(case.labels, UNKNOWN))
