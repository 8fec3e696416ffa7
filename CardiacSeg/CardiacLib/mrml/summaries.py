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


def keep_segmentation(parameters, result, translate: Callable[[str], str]) -> None:
    """Let the parameter node of the segmentation panel remember a result, so that a saved scene shows it again.

    Args:
        parameters: has ``segmentation``, ``volumesChart``, ``ratesChart``, ``measurementsTable``, ``segmentsTable``,
            ``qualityTable``, ``endDiastole``, ``endSystole``, ``summary``, ``light`` and ``notes``.
        result: has ``segmentation``, ``tables`` (nodes by name), ``function``, ``quality`` and ``notes``.
        translate: the module's translation function.
    """
    parameters.segmentation = result.segmentation
    parameters.volumesChart, parameters.ratesChart = result.tables.get("chart"), result.tables.get("rates")
    parameters.measurementsTable = result.tables.get("measurements")
    parameters.segmentsTable, parameters.qualityTable = result.tables.get("segments"), result.tables.get("quality")
    function, quality = result.function, result.quality
    parameters.endDiastole, parameters.endSystole = (function.ed, function.es) if function else (-1, -1)
    whole_cycle = translate("Volumes over the cycle need all frames.")
    parameters.summary = function_text(function.to_dict(), translate) if function else whole_cycle
    parameters.light = light_text(quality.light, quality.reasons, translate) if quality else ""
    parameters.notes = notes_text(result.notes, translate)
