"""Commands about networks: bundles, training, evaluation, calibration."""
