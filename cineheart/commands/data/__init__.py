"""``cineheart data``: labelled data sets, looked at and converted."""
