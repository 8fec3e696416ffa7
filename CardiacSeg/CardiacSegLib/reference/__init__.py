"""Normal ranges of measurements by sex and age: the shipped table or a user's own, and which of it fits a person."""

from .lookup import normal_ranges
from .table import read_reference_ranges, shipped_reference_ranges

__all__ = ["normal_ranges", "read_reference_ranges", "shipped_reference_ranges"]
