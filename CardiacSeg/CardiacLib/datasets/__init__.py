"""Labelled cohorts behind one interface: cases of any layout as records, read, split, checked and converted."""
