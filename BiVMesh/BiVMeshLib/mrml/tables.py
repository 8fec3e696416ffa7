"""The quality of a mesh as a table node."""

from CardiacLib.mrml.nodes.host import plain_host
from CardiacLib.mrml.nodes.tables import add_table
from CardiacLib.types.mesh_quality import MeshQuality


def mesh_quality_to_scene(quality: MeshQuality | None, name: str):
    """The quality report of a mesh as a table node, one measure per row.

    First those with a limit, and whether they are met; lists and tables of the report are left out.

    Args:
        quality: ``BiVMesh.quality``; None of a mesh that was not measured: a table without rows.
        name: start of the node's name.
    """
    plain_host()
    lines, report = ({}, {}) if quality is None else (quality.lines(), quality.to_dict())
    shown = {key: line.value for key, line in lines.items()}
    shown |= {key: value for key, value in report.items() if isinstance(value, (int, float, str))}
    values = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in shown.values()]
    limits = [lines[key].limit if key in lines else "" for key in shown]
    met = [("yes" if lines[key].met else "NO") if key in lines else "" for key in shown]
    columns = (("Measure", list(shown)), ("Value", values), ("Limit", limits), ("Met", met))
    return add_table(f"{name} quality", tuple((*column, False) for column in columns))
