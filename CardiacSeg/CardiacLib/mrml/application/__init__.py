"""What Slicer calls of CineHeart apart from the panels: the start, the samples, and a developer's reload."""
