"""Find a shared resource in a source tree, in an installed extension and in an installed wheel."""

from pathlib import Path

HOMEPAGE = "https://github.com/CineHeart/SlicerCineHeart"


def resource_path(name: str) -> Path:
    """Path of ``Resources/<name>``.

    A wheel has ``Resources`` inside this package (level 0); an installed extension flattens all modules into one
    folder with one ``Resources`` (level 1); a source tree has it beside the module folders (level 2).

    Raises:
        FileNotFoundError: the resource is in none of these places.
    """
    here = Path(__file__).resolve()
    for level in (0, 1, 2):
        candidate = here.parents[level] / "Resources" / name
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"CineHeart resource '{name}' is not installed in or beside {here.parents[0]}.")


def documentation_link(page: str) -> str:
    """A paragraph of HTML that leads to a page of ``Docs``, for the help of Slicer's modules."""
    return f'<p>How to use it: <a href="{HOMEPAGE}/blob/main/Docs/{page}.md">documentation</a>.</p>'
