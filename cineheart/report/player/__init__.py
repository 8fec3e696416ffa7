"""The player of the page: every frame of every slice with its contours, and the long-axis views with their points."""

from .content import contours, player_content

__all__ = ["contours", "player_content"]
