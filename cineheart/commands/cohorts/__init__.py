"""Command of whole cohorts."""
