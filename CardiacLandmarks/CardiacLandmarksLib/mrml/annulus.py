"""Motion of the valve annuli as table, plot series and chart nodes."""

from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.host import plain_host
from CardiacLib.mrml.nodes.tables import add_chart, add_table, time_column

CURVES = (
    ("MAPSE septal (mm)", "mapse_septal_mm", (209, 59, 59)),
    ("MAPSE lateral (mm)", "mapse_lateral_mm", (123, 82, 190)),
    ("TAPSE (mm)", "tapse_mm", (201, 151, 0)),
)
"""Column, key of the curves and colour in the plot."""


def annulus_to_scene(annulus: dict, name: str) -> Nodes:
    """Put the annulus measures into the scene.

    Args:
        annulus: ``Annulus.to_dict()``.
        name: start of the nodes' names.

    Returns:
        ``annulus measures`` (table of the single values) and, of a cine, ``annulus curves`` (table of every frame) and
        ``annulus chart`` (plot of MAPSE and TAPSE).
    """
    plain_host()
    values = {key: value for key, value in annulus["values"].items() if value is not None}
    marks = [annulus["marks"].get(key, {}) for key in values]
    columns = (
        ("Measure", list(values), False),
        ("Value", [f"{value:.1f}" for value in values.values()], False),
        ("Light", [mark.get("light", "") for mark in marks], False),
        ("Why", [mark.get("reason", "") for mark in marks], False),
    )
    nodes = {"annulus measures": add_table(f"{name} annulus measures", columns)}
    curves = annulus["curves"]
    shown = [(title, key, colour) for title, key, colour in CURVES if key in curves]
    if shown and (count := len(curves[shown[0][1]])) > 1:
        columns = [time_column(curves["time_ms"], count), *((title, curves[key], True) for title, key, _ in shown)]
        table = add_table(f"{name} annulus curves", columns)
        lines = [(title.removesuffix(" (mm)"), title, colour) for title, _, colour in shown]
        nodes["annulus curves"] = table
        nodes["annulus chart"] = add_chart(f"{name} annulus motion", table, lines, "Motion towards the apex (mm)")
    return nodes
