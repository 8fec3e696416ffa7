"""Parts of networks that more than one of our networks has."""
