"""The shared types, which own their checks: cine, study, labels, landmarks, segmentation, mesh."""
