"""The 17 segments of the American Heart Association: names, and which one lies where.

Cerqueira et al., Circulation 2002;105:539, doi 10.1161/hc0402.102975: six segments of 60 degrees in the basal and the
middle third of the LV, four of 90 degrees in the apical one, and the apex beyond the cavity.
"""

import numpy as np

_WALLS = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
_APICAL_WALLS = ("anterior", "septal", "inferior", "lateral")
SEGMENT_NAMES = (
    *(f"basal {wall}" for wall in _WALLS),
    *(f"mid {wall}" for wall in _WALLS),
    *(f"apical {wall}" for wall in _APICAL_WALLS),
    "apex",
)
"""Names of segments 1 to 17."""
APEX_SEGMENT = 17
# Segments passed from the middle of the septum over the anterior wall, in steps of 60 and of 90 degrees.
_BASAL = np.array([2, 1, 6, 5, 4, 3])
_APICAL = np.array([14, 13, 16, 15])


def basal_segment(degrees):
    """Basal segment 1..6 at degrees round the LV, from the middle of the septum over the anterior wall; mid: 6 more."""
    return _BASAL[(np.asarray(degrees) % 360.0 // 60.0).astype(int) % 6]


def apical_segment(degrees):
    """Apical segment 13..16 at such an angle; the middle of the septum is the middle of the first."""
    return _APICAL[((np.asarray(degrees) + 45.0) % 360.0 // 90.0).astype(int) % 4]
