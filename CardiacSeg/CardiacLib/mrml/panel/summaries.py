"""Results in words, as the panels show them."""

from collections.abc import Callable


def notes_text(notes: tuple[str, ...], translate: Callable[[str], str]) -> str:
    """Notes below a heading, one line each; empty without notes."""
    return "\n".join([translate("Notes:"), *notes]) if notes else ""


def study_text(study, translate: Callable[[str], str]) -> str:
    """The views of a Study with their frames, and how many things were left out, in one line."""
    views = ", ".join(f"{view.upper()} ({cine.n_frames} x {cine.n_slices})" for view, cine in study.cines.items())
    text = translate("Loaded (frames x slices): {views}.").format(views=views)
    if study.left_out:
        text += " " + translate("{count} items were left out; the log says which.").format(count=len(study.left_out))
    return text
