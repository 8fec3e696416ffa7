"""Points as Slicer's Markups JSON (``.mrk.json``), written without Slicer."""

from collections.abc import Sequence

import numpy as np

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)


def points_document(
    points: np.ndarray, labels: Sequence[str], colour: tuple[float, float, float] = (1.0, 0.5, 0.5)
) -> dict[str, object]:
    """A list of points as the content of one ``.mrk.json``.

    Args:
        points: (N, 3) LPS mm; NaN gets the position status "missing".
        labels: their N labels.
        colour: red, green, blue, 0 to 1.
    """
    controls = []
    for number, (point, label) in enumerate(zip(points, labels, strict=True), start=1):
        known = bool(np.isfinite(point).all())
        controls.append(
            {
                "id": str(number),
                "label": label,
                "description": "",
                "associatedNodeID": "",
                "position": [round(float(c), 4) for c in point] if known else "",
                "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
                "selected": True,
                "locked": False,
                "visibility": True,
                "positionStatus": "defined" if known else "missing",
            }
        )
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(controls),
        "controlPoints": controls,
        "display": {"visibility": True, "color": list(colour), "selectedColor": list(colour)},
    }
    return {"@schema": SCHEMA, "markups": [markup]}
