"""Annulus measures in words, as the panel shows them."""

from CardiacLandmarksLib.measure.annulus import Annulus
from CardiacLib.mrml.translation import _


def annulus_text(annulus: Annulus | None) -> str:
    """The measures in one line."""
    if annulus is None:
        return _("Nothing could be measured of these points.")
    values = annulus.values()

    def shown(key: str, digits: int = 0) -> str:
        return f"{values[key]:.{digits}f} mm" if values.get(key) is not None else "-"

    text = _("MAPSE septal {septal}, lateral {lateral}; TAPSE {tapse}; mitral diameter (4CH) {diameter}.")
    return text.format(
        septal=shown("mapse_septal_mm", 1),
        lateral=shown("mapse_lateral_mm", 1),
        tapse=shown("tapse_mm", 1),
        diameter=shown("mitral_4ch_ed_mm"),
    )
