"""The report's player: every frame of every slice and view, with contours and valve points, to play and to scrub."""

from .content import player_content

__all__ = ["player_content"]
