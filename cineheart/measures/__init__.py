"""The numbers of one study in one place: each with its light, and the one table of volumes."""
