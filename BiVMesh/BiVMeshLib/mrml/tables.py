"""The quality of a mesh as a table node."""

from CardiacLib.mrml.nodes.host import plain_host
from CardiacLib.mrml.nodes.tables import add_table


def mesh_quality_to_scene(quality: dict, name: str):
    """The quality report of a mesh as a table node, one measure per row.

    First those with a limit, and whether they are met; lists and tables of the report are left out.

    Args:
        quality: ``BiVMesh.quality``.
        name: start of the node's name.
    """
    plain_host()
    lines = quality.get("lines", {})
    shown = {key: line["value"] for key, line in lines.items()}
    shown |= {key: value for key, value in quality.items() if isinstance(value, (bool, int, float, str))}
    values = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in shown.values()]
    limits = [lines[key]["limit"] if key in lines else "" for key in shown]
    met = [("yes" if lines[key]["met"] else "NO") if key in lines else "" for key in shown]
    columns = (("Measure", list(shown)), ("Value", values), ("Limit", limits), ("Met", met))
    return add_table(f"{name} quality", tuple((*column, False) for column in columns))
