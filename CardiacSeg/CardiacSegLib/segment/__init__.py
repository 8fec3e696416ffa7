"""From a cine to labels: networks, windows, clean-up, consistency over the cycle."""
