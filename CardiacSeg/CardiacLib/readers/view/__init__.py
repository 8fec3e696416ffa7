"""Which view a cine shows: told by its name, its geometry and the heart in the image."""
