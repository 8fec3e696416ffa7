"""Valve points in the images: networks, decoding, trajectories over the cycle, places in the patient."""
