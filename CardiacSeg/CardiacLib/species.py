"""Whose heart it is: what differs between people, rats and mice.

Most limits of CineHeart are lengths and volumes of human hearts. A heart of another species is compared with them at
human size: its lengths times ``body_scale``, its volumes times the cube.
"""

from dataclasses import dataclass, replace

import numpy as np

from .errors import InputError
from .types.labels import LV, MYO, RV, LabelMap

THOUSANDTHS = {"ml": "\N{MICRO SIGN}l", "ml/s": "\N{MICRO SIGN}l/s", "g": "mg", "l/min": "ml/min"}
"""Units in which animals are shown: a thousandth of people's."""


@dataclass(frozen=True)
class Species:
    """What differs between species.

    Attributes:
        name: as users say it.
        body_scale: length of a human heart over that of this one.
        beat_ms: shortest and longest beat that frame times can be of.
        heart_rate_bpm: least and greatest rate at which nobody wonders; a user's own number may be beyond it.
        longest_frame_ms: between frames; beyond it peak rates are told too low. A sixteenth of a beat at 75, 350 and
            480 per minute.
        structures: labels that its networks draw.
        bundles: networks of its short axis, the first that has weights is taken.
    """

    name: str
    body_scale: float
    beat_ms: tuple[float, float]
    heart_rate_bpm: tuple[float, float]
    longest_frame_ms: float
    structures: tuple[int, ...]
    bundles: tuple[str, ...]

    @property
    def is_human(self) -> bool:
        return self.name == "human"

    def unit(self, unit: str) -> tuple[float, str]:
        """What a value in a unit of :data:`THOUSANDTHS` is multiplied by to be shown, and the unit then."""
        return (1.0, unit) if self.is_human or unit not in THOUSANDTHS else (1000.0, THOUSANDTHS[unit])

    def volume(self, ml: float) -> str:
        """A volume in the unit of the species, for sentences: ml, or microlitres of animals."""
        factor, unit = self.unit("ml")
        return f"{factor * ml:.0f} {unit}"


SMALL_ANIMAL_BUNDLES = ("mouse_short_axis", "mouse_short_axis_small")
SPECIES = {
    s.name: s
    for s in (
        Species("human", 1.0, (300.0, 2500.0), (35.0, 180.0), 50.0, (LV, MYO, RV), ("cineheart_sax",)),
        # A rat's LV holds about 0.4 ml, a mouse's 0.06 ml, a human one 140 ml: cube roots 7 and 13. The wall of a mouse
        # is 0.8 to 1 mm, of a person 9 to 11 mm. At 12, a mesh with edges of 1.8 mm has edges of 0.15 mm in a mouse.
        Species("rat", 6.0, (100.0, 400.0), (250.0, 500.0), 11.0, (LV, MYO), SMALL_ANIMAL_BUNDLES),
        Species("mouse", 12.0, (75.0, 250.0), (350.0, 700.0), 8.0, (LV, MYO), SMALL_ANIMAL_BUNDLES),
    )
}


def species_named(name: str) -> Species:
    """The species of a name.

    Raises:
        InputError: there is none.

    Example:
        >>> species_named("mouse").volume(0.0604)
        '60 µl'
    """
    if name not in SPECIES:
        raise InputError(f"No species '{name}'; choose one of {', '.join(SPECIES)}.")
    return SPECIES[name]


def enlarged_matrix(ijk_to_lps: np.ndarray, scale: float) -> np.ndarray:
    """Index-to-LPS matrix (4, 4) of the same voxels ``scale`` times larger, about the LPS origin."""
    return np.diag([scale, scale, scale, 1.0]) @ np.asarray(ijk_to_lps, float)


def at_human_size(labels: LabelMap, species: Species) -> LabelMap:
    """The same labels with voxels as large as those of a human heart; of a human one the labels themselves."""
    if species.is_human:
        return labels
    return replace(labels, ijk_to_lps=enlarged_matrix(labels.ijk_to_lps, species.body_scale))
