"""``cineheart pdf``: a report that is there already, on paper."""

from pathlib import Path

from CardiacLib.errors import InputError
from cineheart.console import Answer
from cineheart.report.paper import write_pdf


def print_report(report: Path, output: Path | None) -> Answer:
    """Print ``report.html``, or that of a folder, beside it or into a file.

    Raises:
        InputError: there is no report, the file is no PDF, or no browser prints.
    """
    page = report / "report.html" if report.is_dir() else report
    if not page.is_file() or page.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{report}: holds no report.html; give a result of 'cineheart run'.")
    target = output or page.with_suffix(".pdf")
    if target.suffix.lower() != ".pdf":
        raise InputError(f"{target}: is no PDF; give a name that ends with .pdf.")
    write_pdf(page, target)
    return Answer({"output": str(target), "megabytes": round(target.stat().st_size / 1e6, 1)})
