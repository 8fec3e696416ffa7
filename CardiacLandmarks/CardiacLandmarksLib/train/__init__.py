"""Training of the network for valve points, and the images it learns from."""
