"""Table, plot series and chart nodes."""

TIME_COLUMN = "Time (ms)"
"""Title of the column that curves are drawn over."""


def add_table(name: str, columns):
    """A new table node; ``columns`` holds title, values, and whether these are numbers."""
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


def add_chart(name: str, table, curves, y_title: str):
    """A plot chart of columns of a table over time; ``curves`` holds name, column and colour."""
    import slicer

    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", name)
    for title, column, colour in curves:
        series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", f"{table.GetName()} {title}")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(TIME_COLUMN)
        series.SetYColumnName(column)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
        series.SetColor(*(value / 255 for value in colour))
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(name)
    chart.SetXAxisTitle("Time after the R wave (ms)")
    chart.SetYAxisTitle(y_title)
    return chart
