"""How well animals are labelled: Dice at ED and ES, volumes and mass against the expert's, per animal and per group."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from CardiacLib.clock import Clock
from CardiacLib.datasets.mouse.hdf5 import Animal, read_animal
from CardiacLib.errors import InputError
from CardiacLib.metrics import agreement, dice
from CardiacLib.types.labels import LV, MYO, LabelMap

from .phases import drawn_phases

MG_PER_UL = 1.05
STRUCTURES = {"blood": LV, "myocardium": MYO}
PHASES = ("ED", "ES")
UNITS = {
    "edv_ul": "\N{MICRO SIGN}l",
    "esv_ul": "\N{MICRO SIGN}l",
    "sv_ul": "\N{MICRO SIGN}l",
    "ef_percent": "points",
    "co_ml_per_min": "ml/min",
    "mass_ed_mg": "mg",
    "mass_es_mg": "mg",
}
"""Measures and the units of their differences."""


@dataclass(frozen=True)
class AnimalScore:
    """One animal.

    Attributes:
        name, group: of the animal.
        ed, es: frames, from 0.
        dice: by structure and phase, as ``blood ED``.
        found, true: measures by the names of UNITS; without a heart rate there is no output.
        seconds: of labelling both frames.
        notes: one sentence each.
        cine, labels, expert: of ED and ES.
    """

    name: str
    group: str
    ed: int
    es: int
    dice: dict[str, float]
    found: dict[str, float]
    true: dict[str, float]
    seconds: float
    notes: tuple[str, ...]
    animal: Animal
    labels: LabelMap

    @property
    def mean_dice(self) -> float:
        return float(np.mean(list(self.dice.values())))


class EndPhases(NamedTuple):
    """End-diastole and end-systole of an animal as its expert drew them.

    Attributes:
        animal: with these two frames of cine and labels.
        ed, es: their numbers in the file, from 0.
        note: what is odd, else empty.
    """

    animal: Animal
    ed: int
    es: int
    note: str


def at_ed_and_es(path: Path) -> EndPhases:
    """Read ED and ES of one animal as its expert names them.

    Raises:
        InputError: the file cannot be used, or has no labelled frame.
    """
    animal = read_animal(path)
    if animal.labels is None or not animal.drawn:
        raise InputError(f"{path}: has no labelled frame; give animals that an expert has drawn.")
    ed, es, note = drawn_phases(animal.labels.labels, animal.drawn)
    both = replace(animal, cine=animal.cine.only([ed, es]), labels=animal.labels.only([ed, es]))
    return EndPhases(both, ed, es, note)


def score_animal(path: Path, segmenter) -> AnimalScore:
    """Label ED and ES of one animal, and compare with its expert.

    Args:
        path: HDF5 file.
        segmenter: a :class:`~CardiacSegLib.segment.slice_network.CineSegmenter`.

    Raises:
        InputError: the file cannot be used, or has no labelled frame.
    """
    animal, ed, es, note = at_ed_and_es(path)
    expert = animal.labels
    clock = Clock()
    found = segmenter.segment(animal.cine).labels
    rate = animal.cine.patient.heart_rate_bpm
    return AnimalScore(
        name=animal.name,
        group=animal.group or "all",
        ed=ed,
        es=es,
        dice={
            f"{name} {phase}": dice(found.labels[n] == label, expert.labels[n] == label)
            for name, label in STRUCTURES.items()
            for n, phase in enumerate(PHASES)
        },
        found=measures(found, rate),
        true=measures(expert, rate),
        seconds=clock.elapsed,
        notes=(*animal.cine.notes, *((note,) if note else ())),
        animal=animal,
        labels=found,
    )


def measures(labels: LabelMap, heart_rate_bpm: float | None) -> dict[str, float]:
    """Volumes in microlitres and mass in mg of labels of ED and ES, by the names of UNITS."""
    pool, muscle = (labels.volume_ml(label) * 1000.0 for label in (LV, MYO))
    (edv, esv), (mass_ed, mass_es) = pool, muscle * MG_PER_UL
    found = {"edv_ul": edv, "esv_ul": esv, "sv_ul": edv - esv, "mass_ed_mg": mass_ed, "mass_es_mg": mass_es}
    found["ef_percent"] = 100.0 * (edv - esv) / edv if edv > 0 else float("nan")
    if heart_rate_bpm:
        found["co_ml_per_min"] = (edv - esv) * heart_rate_bpm / 1000.0
    return {name: float(found[name]) for name in UNITS if name in found}


def summary(scores: list[AnimalScore]) -> dict[str, object]:
    """Dice and agreement of all animals and of each group, ready for JSON."""
    groups = sorted({score.group for score in scores})
    chosen = {"all": scores} | {group: [s for s in scores if s.group == group] for group in groups if group != "all"}
    return {
        name: {"animals": len(part), "dice": _dice(part), "agreement": _agreement(part)}
        for name, part in chosen.items()
    }


def _dice(scores: list[AnimalScore]) -> dict[str, object]:
    names = [*scores[0].dice]
    found: dict[str, object] = {name: _mean_sd([s.dice[name] for s in scores]) for name in names}
    for structure in STRUCTURES:
        both = [float(np.mean([s.dice[f"{structure} {phase}"] for phase in PHASES])) for s in scores]
        found[structure] = _mean_sd(both)
    return found


def _mean_sd(values: Iterable[float]) -> dict[str, float]:
    numbers = np.array(list(values))
    return {"mean": float(numbers.mean()), "sd": float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0}


def _agreement(scores: list[AnimalScore]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in UNITS:
        pairs = [(s.found[name], s.true[name]) for s in scores if name in s.found and name in s.true]
        pairs = [pair for pair in pairs if np.isfinite(pair).all()]
        if pairs:
            compared = agreement(*np.array(pairs).T)
            found[name] = compared._asdict() | {"largest": float(np.abs(np.diff(np.array(pairs))).max())}
    return found


def rows(scores: list[AnimalScore]) -> list[dict[str, object]]:
    """One row per animal, ready for CSV."""
    return [
        {"animal": s.name, "group": s.group, "ed": s.ed, "es": s.es}
        | {f"dice {name}": round(value, 4) for name, value in s.dice.items()}
        | {f"{name}{end}": round(values[name], 3) if name in values else None
           for name in UNITS for end, values in (("", s.found), (" expert", s.true))}
        | {"seconds": round(s.seconds, 3)}
        for s in scores
    ]  # fmt: skip
