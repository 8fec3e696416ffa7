"""Annulus measures in words, as the panel shows them."""

from CardiacLandmarksLib.measure.annulus import Annulus
from CardiacLib.mrml.panel.summaries import marked, weak_text
from CardiacLib.mrml.translation import _
from CardiacLib.types.measures.volumes import VolumeRow

SHOWN = {
    "mapse_septal_mm": _("MAPSE septal"),
    "mapse_lateral_mm": _("MAPSE lateral"),
    "tapse_mm": _("TAPSE"),
    "mitral_4ch_ed_mm": _("Mitral diameter (4CH)"),
}
"""Measures of the line in the panel."""


def weak_measures(annulus: Annulus | None) -> str:
    """Why some of the measures in the line are weak; empty where none is."""
    return "" if annulus is None else weak_text(annulus.marks, SHOWN)


def volume_text(row: VolumeRow) -> str:
    """The LV of the 4CH view in one line."""
    ml = [f"{value:.0f}" for value in (row.ed_ml, row.es_ml) if value is not None]
    text = _("LV of the 4CH view (area-length): {ml} ml").format(ml=" / ".join(ml))
    return f"{text}, EF {row.ef_percent:.0f} %." if row.ef_percent is not None else f"{text}."


def annulus_text(annulus: Annulus | None) -> str:
    """The measures in one line; rich text where one is weak."""
    if annulus is None:
        return _("Nothing could be measured of these points.")
    values, marks = annulus.values(), annulus.marks

    def shown(key: str, digits: int = 0) -> str:
        return marked(f"{values[key]:.{digits}f}", "mm", marks.get(key)) if values.get(key) is not None else "-"

    text = _("MAPSE septal {septal}, lateral {lateral}; TAPSE {tapse}; mitral diameter (4CH) {diameter}.")
    return text.format(
        septal=shown("mapse_septal_mm", 1),
        lateral=shown("mapse_lateral_mm", 1),
        tapse=shown("tapse_mm", 1),
        diameter=shown("mitral_4ch_ed_mm"),
    )
