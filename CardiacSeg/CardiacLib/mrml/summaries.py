"""Results in words, as the panels show them."""

from collections.abc import Callable

from ..bivmesh import BiVMesh, MovingMesh

LIGHTS = {"green": "#2e8b57", "amber": "#d98e04", "red": "#c62828"}
"""Colour of the dot of a traffic light."""


def function_text(function: dict, translate: Callable[[str], str]) -> str:
    """Volumes, ejection fraction and mass of ``Function.to_dict()`` in one line; a dash where there is no value."""

    def shown(name: str, unit: str) -> str:
        return "-" if function[name] is None else f"{function[name]:.0f} {unit}"

    return translate("LV: EDV {edv}, ESV {esv}, EF {ef}, mass {mass}. RV: EDV {rv_edv}, EF {rv_ef}.").format(
        edv=shown("lv_edv_ml", "ml"),
        esv=shown("lv_esv_ml", "ml"),
        ef=shown("lv_ef_percent", "%"),
        mass=shown("lv_mass_g", "g"),
        rv_edv=shown("rv_edv_ml", "ml"),
        rv_ef=shown("rv_ef_percent", "%"),
    )


def light_text(light: str, reasons: tuple[str, ...], translate: Callable[[str], str]) -> str:
    """Rich text of a traffic light with its reasons, one line each."""
    words = {
        "green": translate("Green: nothing to check was found."),
        "amber": translate("Amber: check"),
        "red": translate("Red: do not use before it is corrected"),
    }
    lines = [f'<span style="color:{LIGHTS[light]}">&#9679;</span> {words[light]}', *map(_escaped, reasons)]
    return "<br/>".join(lines)


def notes_text(notes: tuple[str, ...], translate: Callable[[str], str]) -> str:
    """Notes below a heading, one line each; empty without notes."""
    return "\n".join([translate("Notes:"), *notes]) if notes else ""


def mesh_text(found: BiVMesh | MovingMesh, translate: Callable[[str], str]) -> str:
    """Size of a mesh, and what the mesher repaired or assumed, one line each."""
    mesh = found.mesh if isinstance(found, MovingMesh) else found
    size = translate("{tets} tetrahedra, {nodes} nodes, {triangles} surface triangles.").format(
        tets=len(mesh.tets), nodes=len(mesh.nodes), triangles=len(mesh.triangles)
    )
    return "\n".join(dict.fromkeys([size, *mesh.notes, *found.notes]))


def _escaped(sentence: str) -> str:
    return sentence.replace("&", "&amp;").replace("<", "&lt;")


def segmentation_facts(function, quality, notes: tuple[str, ...], translate: Callable[[str], str]) -> dict[str, object]:
    """What a result of the segmentation panel says: ``summary``, ``light``, ``notes``, and the frames ``ed``, ``es``.

    Args:
        function: CardiacSegLib Function, None where only a part of the cycle was labelled.
        quality: CardiacSegLib QualityReport or None.
        notes: one sentence each.
        translate: the module's translation function.
    """
    whole_cycle = translate("Volumes over the cycle need all frames.")
    facts = {"summary": function_text(function.to_dict(), translate) if function else whole_cycle}
    facts["light"] = light_text(quality.light, quality.reasons, translate) if quality else ""
    facts["notes"] = notes_text(notes, translate)
    return facts | ({"ed": int(function.ed), "es": int(function.es)} if function else {})


def annulus_text(annulus, translate: Callable[[str], str]) -> str:
    """The measures of a CardiacLandmarksLib Annulus, or of None, in one line."""
    if annulus is None:
        return translate("Nothing could be measured of these points.")
    values = annulus.values()

    def shown(key: str, digits: int = 0) -> str:
        return f"{values[key]:.{digits}f} mm" if values.get(key) is not None else "-"

    text = translate("MAPSE septal {septal}, lateral {lateral}; TAPSE {tapse}; mitral diameter (4CH) {diameter}.")
    return text.format(
        septal=shown("mapse_septal_mm", 1),
        lateral=shown("mapse_lateral_mm", 1),
        tapse=shown("tapse_mm", 1),
        diameter=shown("mitral_4ch_ed_mm"),
    )


def study_text(study, translate: Callable[[str], str]) -> str:
    """The views of a Study with their frames, and how many things were left out, in one line."""
    views = ", ".join(f"{view.upper()} ({cine.n_frames} x {cine.n_slices})" for view, cine in study.cines.items())
    text = translate("Loaded (frames x slices): {views}.").format(views=views)
    if study.left_out:
        text += " " + translate("{count} items were left out; the log says which.").format(count=len(study.left_out))
    return text
