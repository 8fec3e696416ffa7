"""Labelled cohorts."""
