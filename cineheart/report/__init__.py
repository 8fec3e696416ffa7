"""``report.html``: one study's results as one self-contained page."""

from .page import draw_without_mesh, write_report

__all__ = ["draw_without_mesh", "write_report"]
