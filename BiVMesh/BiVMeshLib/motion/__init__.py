"""One mesh over the cardiac cycle: its connectivity stays, its nodes follow the labels of every frame."""

from .moving import move_mesh

__all__ = ["move_mesh"]
