"""Training of the short-axis network, and the images it learns from."""
