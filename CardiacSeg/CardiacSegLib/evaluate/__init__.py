"""Accuracy of a short-axis network on labelled patients."""
