"""Volumes over time and the measurements as table, plot series and plot chart nodes."""

from ..labels import LV, RV, structures
from .host import plain_host

MEASUREMENTS = (
    ("lv_edv_ml", "LV end-diastolic volume", "ml"),
    ("lv_esv_ml", "LV end-systolic volume", "ml"),
    ("lv_sv_ml", "LV stroke volume", "ml"),
    ("lv_ef_percent", "LV ejection fraction", "%"),
    ("rv_edv_ml", "RV end-diastolic volume", "ml"),
    ("rv_esv_ml", "RV end-systolic volume", "ml"),
    ("rv_sv_ml", "RV stroke volume", "ml"),
    ("rv_ef_percent", "RV ejection fraction", "%"),
    ("lv_mass_g", "LV mass", "g"),
)
"""Key of ``Function.to_dict()``, name and unit, in the order of tables and reports."""
_TIME, _LV, _RV, _MYO = "Time (ms)", "LV volume (ml)", "RV volume (ml)", "Myocardial volume (ml)"


def function_to_scene(function: dict, name: str):
    """Put a study's function into the scene.

    Args:
        function: ``Function.to_dict()``: lists ``times_ms``, ``lv_ml``, ``rv_ml``, ``myo_ml`` and the measurements,
            which may be None where they could not be measured (their cell then stays empty).
        name: start of the nodes' names.

    Returns:
        dict with the table of ``volumes`` per frame, the table of ``measurements``, and, of a cine, the plot ``chart``
        of the LV and RV volume-time curves.
    """
    plain_host()
    columns = ((_TIME, "times_ms"), (_LV, "lv_ml"), (_RV, "rv_ml"), (_MYO, "myo_ml"))
    volumes = _table(f"{name} volumes", [(title, function[key], True) for title, key in columns])
    rows = [(title, function[key], unit) for key, title, unit in MEASUREMENTS]
    values = ["" if value is None else f"{value:.1f}" for _, value, _ in rows]
    measurements = _table(
        f"{name} measurements",
        [
            ("Measurement", [title for title, _, _ in rows], False),
            ("Value", values, False),
            ("Unit", [unit for _, _, unit in rows], False),
        ],
    )
    nodes = {"volumes": volumes, "measurements": measurements}
    if len(function["times_ms"]) > 1:
        nodes["chart"] = _chart(f"{name} volume-time curves", volumes)
    return nodes


def _table(name: str, columns):
    import slicer
    import vtk

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
    for title, values, numeric in columns:
        column = vtk.vtkDoubleArray() if numeric else vtk.vtkStringArray()
        column.SetName(title)
        for value in values:
            column.InsertNextValue(float(value) if numeric else value)
        node.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


def _chart(name: str, table):
    import slicer

    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", name)
    for title, label in ((_LV, LV), (_RV, RV)):
        series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", f"{table.GetName()} {title[:2]}")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(_TIME)
        series.SetYColumnName(title)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
        series.SetColor(*(value / 255 for value in structures()[label].rgb))
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle("Volume-time curves")
    chart.SetXAxisTitle("Time after the R wave (ms)")
    chart.SetYAxisTitle("Volume (ml)")
    return chart
