"""The report on paper: ``report.pdf``, printed by a browser of the system."""

from .browser import PDF_NAME, require_browser, write_pdf

__all__ = ["PDF_NAME", "require_browser", "write_pdf"]
