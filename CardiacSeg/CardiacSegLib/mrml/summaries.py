"""Function and quality control in words, as the panel shows them."""

from functools import partial

from CardiacLib.mrml.panel.results import Facts
from CardiacLib.mrml.panel.summaries import escaped, marked, notes_text, weak_text
from CardiacLib.mrml.translation import _
from CardiacLib.species import species_named
from CardiacLib.types.measures.marks import Marks
from CardiacSegLib.result import SegmentResult

LIGHTS = {"green": "#2e8b57", "amber": "#d98e04", "red": "#c62828"}
"""Colour of the dot of a traffic light."""
SHOWN = {
    "lv_edv_ml": _("LV EDV"),
    "lv_esv_ml": _("LV ESV"),
    "lv_ef_percent": _("LV EF"),
    "lv_mass_g": _("LV mass"),
    "rv_edv_ml": _("RV EDV"),
    "rv_ef_percent": _("RV EF"),
}
"""Measurements of the line in the panel."""


def function_text(function: dict, marks: Marks | None = None) -> str:
    """Volumes, ejection fraction and mass of ``Function.to_dict()`` in one line; a dash where there is no value.

    With marks it is rich text: weak values grey, their reason as the tooltip.
    """
    marks, species = marks or {}, species_named(function.get("species", "human"))
    shown = partial(_shown, function, marks)
    if not species.is_human:
        return _("LV of a {species}: EDV {edv}, ESV {esv}, EF {ef}, output {output}, mass {mass}.").format(
            species=species.name,
            edv=shown("lv_edv_ml", "ml"),
            esv=shown("lv_esv_ml", "ml"),
            ef=shown("lv_ef_percent", "%"),
            output=shown("lv_cardiac_output_l_per_min", "l/min"),
            mass=shown("lv_mass_g", "g"),
        )
    return _("LV: EDV {edv}, ESV {esv}, EF {ef}, mass {mass}. RV: EDV {rv_edv}, EF {rv_ef}.").format(
        edv=shown("lv_edv_ml", "ml"),
        esv=shown("lv_esv_ml", "ml"),
        ef=shown("lv_ef_percent", "%"),
        mass=shown("lv_mass_g", "g"),
        rv_edv=shown("rv_edv_ml", "ml"),
        rv_ef=shown("rv_ef_percent", "%"),
    )


def _shown(function: dict, marks: Marks, name: str, unit: str) -> str:
    """A measurement in the unit of its species, with its mark."""
    if function[name] is None:
        return "-"
    factor, shown_unit = species_named(function.get("species", "human")).unit(unit)
    mark = marks.get(name)
    return marked(f"{factor * function[name]:.0f}", shown_unit, mark and mark.times(factor))


def one_frame_text(function: dict, marks: Marks | None = None) -> str:
    """Volumes and mass of one frame whose phase nobody told, in rich text like that of :func:`function_text`."""
    names = (("lv_volume_ml", "ml"), ("rv_volume_ml", "ml"), ("lv_mass_g", "g"))
    texts = {name: _shown(function, marks or {}, name, unit) for name, unit in names}
    return _("One frame: LV {lv}, RV {rv}, LV mass {mass}. EF needs all frames.").format(
        lv=texts["lv_volume_ml"], rv=texts["rv_volume_ml"], mass=texts["lv_mass_g"]
    )


def light_text(light: str, reasons: tuple[str, ...]) -> str:
    """Rich text of a traffic light with its reasons, one line each."""
    words = {
        "green": _("Green: nothing to check was found."),
        "amber": _("Amber: check"),
        "red": _("Red: do not use before it is corrected"),
    }
    lines = [f'<span style="color:{LIGHTS[light]}">&#9679;</span> {words[light]}', *map(escaped, reasons)]
    return "<br/>".join(lines)


def segmentation_facts(found: SegmentResult) -> Facts:
    """What a result of the segmentation panel says: ``summary``, ``light``, ``notes``, ``species``, ``ed`` and ``es``.

    Args:
        found: without function where only a part of the cycle was labelled.
    """
    function, quality = found.function, found.quality
    one_frame = found.segmentation.labels.n_frames == 1
    summary, why = _("Volumes over the cycle need all frames."), ""
    if function is not None:
        values = function.to_dict()
        summary = one_frame_text(values, found.marks) if one_frame else function_text(values, found.marks)
        why = weak_text(found.marks, SHOWN)
    facts = {"summary": summary, "summary why": why}
    if function is not None:
        facts["species"] = function.species
    facts["light"] = light_text(quality.light, quality.reasons) if quality else ""
    facts["notes"] = notes_text(found.notes)
    return facts | ({"ed": int(function.ed), "es": int(function.es)} if function and not one_frame else {})
