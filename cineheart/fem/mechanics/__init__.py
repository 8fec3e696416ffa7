"""The heart as an elastic, contracting solid, solved with scikit-fem: filling, contraction, unloaded shape.

Needs the optional package scikit-fem. Lengths in mm, stresses and pressures in kPa, so forces in mN. The base is held,
pressures stay normal to the deformed endocardium, the epicardium is free. Research use only: the constants are
published ones, not the patient's.
"""
