"""Anatomy at the base: annuli of the valves, the base split into them and muscle, caps that close the cavities."""

from .with_rings import with_moving_rings, with_valve_rings

__all__ = ["with_moving_rings", "with_valve_rings"]
