"""Results in words, as the panels show them."""

from collections.abc import Mapping

from CardiacLib.mrml.translation import _
from CardiacLib.types.measures.marks import Mark, Marks
from CardiacLib.types.study import Study

GREY = "#8a8f98"
"""Of values that are weak."""


def marked(value: str, unit: str, mark: Mark | None = None) -> str:
    """A value with unit and uncertainty; a weak one as rich text, grey."""
    sure = "" if mark is None or mark.uncertainty is None else f" ± {mark.uncertainty:.0f}"
    text = f"{value}{sure} {unit}"
    if mark is None or not mark.weak:
        return text
    return f'<span style="color:{GREY}"><i>{text}</i></span>'


def weak_text(marks: Marks, titles: Mapping[str, str]) -> str:
    """What the tooltip of a result says of its weak values, one line each; empty where there is none.

    Args:
        marks: by key.
        titles: key to name of the values that are shown.
    """
    weak = [f"{title}: {marks[key].reason}" for key, title in titles.items() if key in marks and marks[key].weak]
    return "\n".join([_("Grey: check before use."), *weak]) if weak else ""


def escaped(sentence: str) -> str:
    """A sentence as a part of rich text."""
    return sentence.replace("&", "&amp;").replace("<", "&lt;")


def notes_text(notes: tuple[str, ...]) -> str:
    """Notes below a heading, one line each; empty without notes."""
    return "\n".join([_("Notes:"), *notes]) if notes else ""


def study_text(study: Study) -> str:
    """The views of a study with their frames, and how many things were left out, in one line."""
    views = ", ".join(f"{view.upper()} ({cine.n_frames} x {cine.n_slices})" for view, cine in study.cines.items())
    text = _("Loaded (frames x slices): {views}.").format(views=views)
    if study.left_out:
        text += " " + _("{count} items were left out; the log below says which.").format(count=len(study.left_out))
    return text
