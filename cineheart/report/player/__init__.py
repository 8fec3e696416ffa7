"""The player of the page: every frame of every slice with its contours, and the long-axis views with their points."""

from .content import player_content

__all__ = ["player_content"]
