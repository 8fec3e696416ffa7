"""Function and quality control in words, as the panel shows them."""

from CardiacLib.mrml.panel.results import Facts
from CardiacLib.mrml.panel.summaries import notes_text
from CardiacLib.mrml.translation import _
from CardiacSegLib.result import SegmentResult

LIGHTS = {"green": "#2e8b57", "amber": "#d98e04", "red": "#c62828"}
"""Colour of the dot of a traffic light."""


def function_text(function: dict) -> str:
    """Volumes, ejection fraction and mass of ``Function.to_dict()`` in one line; a dash where there is no value."""

    def shown(name: str, unit: str) -> str:
        return "-" if function[name] is None else f"{function[name]:.0f} {unit}"

    return _("LV: EDV {edv}, ESV {esv}, EF {ef}, mass {mass}. RV: EDV {rv_edv}, EF {rv_ef}.").format(
        edv=shown("lv_edv_ml", "ml"),
        esv=shown("lv_esv_ml", "ml"),
        ef=shown("lv_ef_percent", "%"),
        mass=shown("lv_mass_g", "g"),
        rv_edv=shown("rv_edv_ml", "ml"),
        rv_ef=shown("rv_ef_percent", "%"),
    )


def one_frame_text(function: dict) -> str:
    """Volumes and mass of one frame whose phase nobody told."""
    texts = {
        name: "-" if function[name] is None else f"{function[name]:.0f} {unit}"
        for name, unit in (("lv_volume_ml", "ml"), ("rv_volume_ml", "ml"), ("lv_mass_g", "g"))
    }
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
    lines = [f'<span style="color:{LIGHTS[light]}">&#9679;</span> {words[light]}', *map(_escaped, reasons)]
    return "<br/>".join(lines)


def _escaped(sentence: str) -> str:
    return sentence.replace("&", "&amp;").replace("<", "&lt;")


def segmentation_facts(found: SegmentResult) -> Facts:
    """What a result of the segmentation panel says: ``summary``, ``light``, ``notes``, and the frames ``ed``, ``es``.

    Args:
        found: without function where only a part of the cycle was labelled.
    """
    function, quality = found.function, found.quality
    one_frame = found.segmentation.labels.n_frames == 1
    summary = _("Volumes over the cycle need all frames.")
    if function is not None:
        summary = one_frame_text(function.to_dict()) if one_frame else function_text(function.to_dict())
    facts = {"summary": summary}
    facts["light"] = light_text(quality.light, quality.reasons) if quality else ""
    facts["notes"] = notes_text(found.notes)
    return facts | ({"ed": int(function.ed), "es": int(function.es)} if function and not one_frame else {})
