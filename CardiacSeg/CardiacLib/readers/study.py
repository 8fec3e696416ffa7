"""Read a study: find the short-axis stack, tell the long-axis views, say what was left out and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.geometry import HUMAN_APEX, slice_normal
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers.dicom.dicom_planes import read_dicom_planes
from CardiacLib.readers.view.heart import find_heart
from CardiacLib.readers.view.views import LAX_VIEWS, LongAxisPlane, decide_views, named_view
from CardiacLib.types.cine import VIEWS, Cine
from CardiacLib.types.study import Study

from .images import AS_FRAMES, Files, Volume, list_files, read_image_items, require_frames
from .planes import Plane, parallel_groups, without_repeats
from .stacking import stack

LEAST_POSITIONS = 3
USUAL_FRAMES = 8
"""A stack with at least so many frames goes before one with fewer."""
APEX_SPREAD_DEGREES = 35.0


@dataclass
class _Found:
    """Everything cine-like in the study folder, before views are known."""

    planes: list[Plane]
    volumes: list[Volume]
    left_out: list[str]
    notes: list[str]

    def items(self) -> list:
        return [*self.planes, *self.volumes]


def read_study(
    path: str | Path,
    views: dict[str, str] | None = None,
    progress: Progress = silent,
    *,
    files: Sequence[str | Path] = (),
    study_uid: str = "",
) -> Study:
    """Read a DICOM folder (any nesting), a folder of images, or one file, as a study.

    Args:
        path: folder or file.
        views: overrides: series UID, description or number, folder or file name -> sax, 2ch, 3ch, 4ch or other.
        progress: told the fraction done; may raise Cancelled.
        files: DICOM files of the study, if not all below ``path`` are.
        study_uid: StudyInstanceUID of the study to take where a folder holds several of one patient.

    Raises:
        InputError: nothing readable, several studies, no short-axis stack, another modality, a damaged file, a wrong
            override.

    Example:
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom, write_phantom
        >>> write_phantom(make_phantom(PhantomOptions.small()), "study")
        >>> study = read_study("study")
        >>> {view: cine.n_slices for view, cine in sorted(study.cines.items())}
        {'2ch': 1, '3ch': 1, '4ch': 1, 'sax': 13}
    """
    path = Path(path)
    listed = Files([], [], [Path(file) for file in files]) if files else list_files(path)
    found = _find(path, listed, study_uid, part(progress, 0.0, 0.3))
    forced = _overrides(found, views or {}, path)
    sax, sax_items = _short_axis(found, forced, path, part(progress, 0.3, 0.7))
    used = {id(item) for item in sax_items}
    cines = {"sax": sax}
    rest = [item for item in found.items() if id(item) not in used]
    chosen = _long_axis(rest, forced, sax, found)
    for number, (view, item) in enumerate(chosen.items()):
        progress(0.7 + 0.3 * number / len(chosen), f"Reading {view.upper()}")
        cines[view] = _cine_of(item, view)
    found.notes += [f"{sax.source}: the short axis has only one {what}" for what, n in _sizes(sax) if n == 1]
    found.notes += [f"{view.upper()}: {note}" for view, cine in cines.items() for note in cine.notes]
    progress(1.0, "Study read")
    return Study(cines, tuple(found.left_out), tuple(dict.fromkeys(found.notes)), sax.patient, str(path))


def require_cine_stack(cine: Cine) -> None:
    """Raise InputError unless the cine has at least two slices and two frames."""
    for what, n in _sizes(cine):
        if n < 2:
            raise InputError(
                f"{cine.source}: the short axis has only one {what}; volumes over the heart beat need a stack of at "
                "least two slices with at least two frames."
            )


def _sizes(cine: Cine) -> tuple[tuple[str, int], ...]:
    return ("frame", cine.n_frames), ("slice", cine.n_slices)


def _find(path: Path, files: Files, study_uid: str, progress: Progress) -> _Found:
    """Planes and volumes of all files; images are read whole, of DICOM only the headers."""
    planes, left_out, any_dicom = read_dicom_planes(files.others, part(progress, 0.0, 0.8), study_uid=study_uid)
    volumes: list[Volume] = []
    if any_dicom:
        left_out += [f"{p.name}: an image file beside the DICOM files" for p in files.images]
    else:
        planes, volumes, more = read_image_items(files.images, part(progress, 0.0, 1.0))
        left_out += more
    if not planes and not volumes:
        reasons = f" ({'; '.join(left_out[:3])})" if left_out else ""
        flat = f": 2-D pictures such as {files.pictures[0].name} have no position in space" if files.pictures else ""
        raise InputError(f"{path}: holds no DICOM, NIfTI or NRRD images that can be a cine{flat}{reasons}.")
    return _Found(planes, volumes, left_out, [])


def _overrides(found: _Found, views: dict[str, str], path: Path) -> dict[int, str]:
    """id of item -> view that the user asked for."""
    forced: dict[int, str] = {}
    for key, view in views.items():
        if view not in VIEWS:
            raise InputError(f"views: '{view}' is no view, use one of {', '.join(VIEWS)}.")
        matches = [item for item in found.items() if key.lower() in {k.lower() for k in item.keys}]
        if not matches:
            raise InputError(f"{path}: views names '{key}', but no series or file is called so.")
        if view in LAX_VIEWS and len(matches) > 1:
            raise InputError(f"{path}: '{key}' is the name of {len(matches)} series; give the series UID for '{view}'.")
        forced.update({id(item): view for item in matches})
    return forced


def _short_axis(found: _Found, forced: dict[int, str], path: Path, progress: Progress) -> tuple[Cine, list]:
    """The short-axis Cine and the items that it was made of (repeats included)."""
    wanted = [item for item in found.items() if forced.get(id(item)) == "sax"]
    free = wanted or [item for item in found.items() if id(item) not in forced]
    volumes = [item for item in free if isinstance(item, Volume)]
    planes = [item for item in free if isinstance(item, Plane)]
    groups = parallel_groups([p for p in planes if wanted or not p.fault])
    named = [p for p in planes if p.fault and p.last_resort and named_view(p.hint) == "sax"]
    candidates: list = [*volumes, *groups]
    usable = [c for c in candidates if wanted or _n_positions(c) >= LEAST_POSITIONS]
    if not usable:
        groups = parallel_groups(named)
        usable = [c for c in [*candidates, *groups] if "sax" in _names(c)]
    if not usable and len(candidates) == 1 and len(found.items()) == 1 and not _names(candidates[0]) & {*LAX_VIEWS}:
        usable = candidates
    if not usable:
        found_instead = _what_instead(found)
        raise InputError(f"{path}: no short-axis cine stack found{found_instead}; check that the study is complete.")
    best = max(usable, key=lambda c: _short_axis_score(c, found))
    if isinstance(best, Volume):
        progress(1.0, f"{best.name} is the short axis")
        return best.cine.with_changes(view="sax"), [best]
    kept, left_out = without_repeats(best)
    found.left_out += left_out
    return stack(kept, "sax", str(path), progress), best


def _what_instead(found: _Found) -> str:
    faults = Counter(plane.fault for plane in found.planes if plane.fault)
    parts = [f"{count} x {fault}" for fault, count in faults.most_common(2)]
    cines = sum(not plane.fault for plane in found.planes)
    parts += [f"{cines} single cine planes"] if cines else []
    return f" (only {', '.join(parts)})" if parts else ""


def _n_positions(candidate) -> int:
    if isinstance(candidate, Volume):
        return candidate.cine.n_slices
    return len(without_repeats(candidate)[0])


def _names(candidate) -> set[str | None]:
    """The views that the names of a candidate's files or series speak of."""
    hints = [candidate.hint] if isinstance(candidate, Volume) else [p.hint for p in candidate]
    return {named_view(hint) for hint in hints}


def _short_axis_score(candidate, found: _Found) -> float:
    """Many frames, many positions, a normal along a usual long axis, planes perpendicular to it, the name."""
    if isinstance(candidate, Volume):
        normal, frames = slice_normal(candidate.cine.ijk_to_lps), candidate.cine.n_frames
    else:
        normal, frames = candidate[0].normal, max(p.n_frames for p in candidate)
    tier = 0.0 if frames < 2 else 6.0 if frames < USUAL_FRAMES else 12.0
    angle = np.degrees(np.arccos(np.clip(abs(normal @ HUMAN_APEX) / np.linalg.norm(HUMAN_APEX), 0, 1)))
    across = sum(abs(p.normal @ normal) < 0.35 for p in found.planes if not p.fault)
    return (
        tier
        + np.log(_n_positions(candidate))
        - 0.5 * (angle / APEX_SPREAD_DEGREES) ** 2
        + 0.5 * min(across, 3)
        + 0.5 * ("sax" in _names(candidate))
    )


def _long_axis(rest: list, forced: dict[int, str], sax: Cine, found: _Found) -> dict[str, object]:
    """view -> item for the long-axis views; what is left goes to ``found.left_out``."""
    chosen: dict[str, object] = {}
    free: list[Plane] = []
    for item in rest:
        view = forced.get(id(item))
        if view in LAX_VIEWS:
            if view in chosen:
                raise InputError(f"{sax.source}: views names two series for '{view}'; name one.")
            chosen[view] = item
        elif view:
            found.left_out.append(f"{item.name}: set to '{view}'")
        elif isinstance(item, Volume):
            found.left_out.append(f"{item.name}: {item.cine.n_slices} slices, but not the short-axis stack chosen")
            if item.cine.n_frames == 1 and named_view(item.hint) in LAX_VIEWS:
                found.left_out[-1] += "; if these are frames, " + AS_FRAMES
        elif item.fault:
            found.left_out.append(f"{item.name}: {item.fault}")
        else:
            free.append(item)
    candidates: list[Plane] = []
    for group in parallel_groups(free):
        kept, repeats = without_repeats(group)
        candidates += kept
        found.left_out += repeats
    for plane, view, reason in _decisions(candidates, sax, found):
        if view in LAX_VIEWS and view not in chosen:
            chosen[view] = plane
        else:
            taken = f", but there is a {view} already" if view in LAX_VIEWS else ""
            found.left_out.append(f"{plane.name}: {reason}{taken}")
    return {view: chosen[view] for view in sorted(chosen)}


def _decisions(candidates: list[Plane], sax: Cine, found: _Found) -> list[tuple[Plane, str, str]]:
    """(plane, view, reason) by geometry, or by name where the files carry no usable geometry."""
    if not candidates:
        return []
    normal = slice_normal(sax.ijk_to_lps)
    names = [named_view(plane.hint) for plane in candidates]
    lying = [abs(p.normal @ normal) > 0.95 for p, name in zip(candidates, names, strict=True) if name in LAX_VIEWS]
    if sax.n_frames < 2 or sax.n_slices < 2 or (lying and all(lying)):
        found.notes.append("the geometry of the files cannot tell the long-axis views: they are taken by their names")
        return [
            (plane, name or "other", f"taken for {name} by its name" if name else "no view in its name")
            for plane, name in zip(candidates, names, strict=True)
        ]
    planes = [LongAxisPlane(p.center, p.normal, p.hint) for p in candidates]
    decisions = decide_views(planes, find_heart(sax))
    for plane, decision in zip(candidates, decisions, strict=True):
        name = named_view(plane.hint)
        if name not in (None, decision.view) and (name in LAX_VIEWS or decision.view in LAX_VIEWS):
            found.notes.append(f"{plane.name}: named {name}, but its plane is {decision.view} ({decision.reason})")
    return [(p, d.view, d.reason) for p, d in zip(candidates, decisions, strict=True)]


def _cine_of(item, view: str) -> Cine:
    if isinstance(item, Volume):
        require_frames(item.cine, view)
        return item.cine.with_changes(view=view)
    return stack([item], view, item.name)
