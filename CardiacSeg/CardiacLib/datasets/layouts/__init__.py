"""The forms in which labelled cohorts come: each module finds the cases of one of them."""
