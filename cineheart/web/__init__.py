"""``cineheart view``: studies and results in a browser, one process a session (needs the extra ``web``)."""
