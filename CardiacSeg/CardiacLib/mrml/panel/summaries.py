"""Results in words, as the panels show them."""

from CardiacLib.mrml.translation import _
from CardiacLib.types.study import Study


def notes_text(notes: tuple[str, ...]) -> str:
    """Notes below a heading, one line each; empty without notes."""
    return "\n".join([_("Notes:"), *notes]) if notes else ""


def study_text(study: Study) -> str:
    """The views of a study with their frames, and how many things were left out, in one line."""
    views = ", ".join(f"{view.upper()} ({cine.n_frames} x {cine.n_slices})" for view, cine in study.cines.items())
    text = _("Loaded (frames x slices): {views}.").format(views=views)
    if study.left_out:
        text += " " + _("{count} items were left out; the log says which.").format(count=len(study.left_out))
    return text
