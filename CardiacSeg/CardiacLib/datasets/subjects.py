"""Which of a subject's frames are end-diastole and end-systole, where names do not say it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from .records import PHASES, CaseRecord


def phases_of_pair(cases: Sequence[CaseRecord], volumes: Sequence[float]) -> list[CaseRecord]:
    """Cases where of two unnamed volumes of one subject and view the one with the larger pool is ED, the other ES.

    Args:
        cases: any.
        volumes: of the LV, or else the RV, of each.
    """
    found = list(cases)
    places = defaultdict(list)
    for place, case in enumerate(cases):
        places[case.subject, case.view].append(place)
    for pair in places.values():
        if len(pair) == 2 and not any(cases[n].phase for n in pair):
            ordered = sorted(pair, key=lambda n: -volumes[n])
            for phase, n in zip(PHASES, ordered, strict=True):
                found[n] = replace(cases[n], phase=phase)
    return found
