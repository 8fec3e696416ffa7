"""Table, plot series and chart nodes."""

import math
from collections.abc import Sequence

TIME_COLUMN, FRAME_COLUMN = "Time (ms)", "Frame"
"""Titles of the column that curves are drawn over, with frame times and without."""
_AXES = {TIME_COLUMN: "Time after the R wave (ms)", FRAME_COLUMN: "Frame"}


def time_column(times_ms: Sequence[float] | None, n_frames: int) -> tuple[str, Sequence[float], bool]:
    """First column of a table of curves, as of :func:`add_table`; frames count from 1 where there are no times."""
    return (FRAME_COLUMN, range(1, n_frames + 1), True) if times_ms is None else (TIME_COLUMN, times_ms, True)


def add_table(name: str, columns):
    """A new table node; ``columns`` holds title, values, and whether these are numbers (None: not a number)."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
    set_columns(node, columns)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


def set_columns(node, columns) -> None:
    """Put other columns, as of :func:`add_table`, into a table node."""
    import vtk

    node.RemoveAllColumns()
    for title, values, numeric in columns:
        column = vtk.vtkDoubleArray() if numeric else vtk.vtkStringArray()
        column.SetName(title)
        for value in values:
            column.InsertNextValue(value if not numeric else math.nan if value is None else float(value))
        node.AddColumn(column)


def add_chart(name: str, table, curves, y_title: str):
    """A plot chart of columns of a table over its first one; ``curves`` holds name, column and colour."""
    import slicer

    over = table.GetColumnName(0)
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", name)
    for title, column, colour in curves:
        series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", f"{table.GetName()} {title}")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(over)
        series.SetYColumnName(column)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
        series.SetColor(*(value / 255 for value in colour))
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(name)
    chart.SetXAxisTitle(_AXES[over])
    chart.SetYAxisTitle(y_title)
    return chart


def table_content(node) -> tuple[list[str], list[list[str]]]:
    """Names of the columns of a table node, and its rows as they are shown."""
    table = node.GetTable()
    names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
    rows = range(table.GetNumberOfRows())
    return names, [[table.GetValue(row, column).ToString() for column in range(len(names))] for row in rows]


def nodes_of_class(name: str) -> list:
    """The nodes of ``slicer.mrmlScene`` of a class, in the scene's order; hidden ones are left out."""
    import slicer

    scene = slicer.mrmlScene
    nodes = [scene.GetNthNodeByClass(number, name) for number in range(scene.GetNumberOfNodesByClass(name))]
    return [node for node in nodes if not node.GetHideFromEditors()]
