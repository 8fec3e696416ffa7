"""Ventricular function from labels of every frame.

Definitions: Schulz-Menger et al., JCMR 2020, doi 10.1186/s12968-020-00610-6. Volume of a structure is the sum of its
voxels times the distance between slice centres (gap included); papillary muscles belong to the cavity, as the networks
draw it, unless asked otherwise.
"""

from dataclasses import replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.label_axes import on_short_axis, stack_end_notes
from CardiacLib.species import Species, at_human_size, species_named
from CardiacLib.types.choices import SegmentChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.label_order import require_order
from CardiacLib.types.labels import LV, MYO, RV, LabelMap
from CardiacLib.types.segmentation import ValveCut

from .by_hand import Corrected, correct
from .curves import LEAST_FRAMES, end_frames, filling, plausible_beat_ms
from .one_frame import of_one_frame
from .papillary import papillary_to_myocardium
from .records import Function, Myocardium, Ventricle
from .regional import Regional, measure_regions
from .segments import base_direction
from .shape import body_surface_m2, sphericity
from .small_hearts import at_own_size

MYOCARDIAL_DENSITY_G_PER_ML = 1.05
UNSIZED_NOTE = "The voxel size is not known: no volumes, no mass, no thickness, no strain."


def measure(
    labels: LabelMap,
    choice: SegmentChoice = SegmentChoice(),
    *,
    cine: Cine | None = None,
    cut: ValveCut | None = None,
) -> Function:
    """Everything that labels of one heart beat say about the function of the ventricles.

    Args:
        labels: labels of all frames of one heart beat.
        choice: of it, ``papillary``, ``body``, ``species`` and ``by_hand``. ``papillary="myocardium"`` counts papillary
            muscles and trabeculae there in volumes and mass; contours, and so wall thickness, strain and sphericity,
            stay the same.
            Without a heart rate the frame times give one: they then cover one beat.
        cine: the images of the labels; needed for ``papillary="myocardium"``.
        cut: volumes of the same labels where these end at the valve planes; they replace the counts of whole voxels.

    Raises:
        InputError: the cine is needed and missing, or on another grid; the labels are in another order of values; what
            was set by hand does not fit the labels.

    Example:
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom
        >>> function = measure(make_phantom(PhantomOptions.small()).labels)
        >>> function.ed, function.es, round(function.lv.edv_ml), round(function.lv.ef_percent)
        (0, 3, 139, 59)
        >>> function.regional.segments[0].name
        'basal anterior'
    """
    require_order(labels.labels, labels.source or "The label map")
    species = species_named(choice.species)
    if species.is_human:
        return _measured(labels, choice, species, cine=cine, cut=cut)
    large = at_human_size(labels, species)
    if cine is not None:
        cine = cine.with_changes(ijk_to_lps=large.ijk_to_lps)
    if cut is not None:
        grown = {name: getattr(cut, name) * species.body_scale**3 for name in ("lv_ml", "myo_ml", "rv_ml")}
        cut = replace(cut, **grown)
    return at_own_size(_measured(large, choice, species, cine=cine, cut=cut), species)


def _measured(
    labels: LabelMap,
    choice: SegmentChoice,
    species: Species,
    *,
    cine: Cine | None = None,
    cut: ValveCut | None = None,
) -> Function:
    """As :func:`measure`, of labels at human size."""
    corrected = _corrected(labels, choice, cine, cut)
    labels, (ed, es) = corrected.labels, corrected.phases
    lv, myo, rv = _volumes(labels, choice, cine, cut)
    if not labels.grid.sized:
        return _unsized(labels, choice, corrected)
    body, beat = choice.body, plausible_beat_ms(labels, species.beat_ms)
    rate = body.heart_rate_bpm or (60000.0 / beat if beat else None)
    area = body_surface_m2(body.height_m, body.weight_kg)
    slices, slice_notes = _short_axis(labels, ed)
    regional = measure_regions(slices, ed, es) if slices and lv.any() and myo.any() else None
    round_ed, round_es = _sphericities(slices, ed, es) if slices else (None, None)
    lv, myo, rv = (_where_drawn(volume, labels) for volume in (lv, myo, rv))
    function = Function(
        times_ms=labels.times_ms,
        ed=ed,
        es=es,
        lv=_ventricle(lv, (ed, es), (ed, es), beat, rate),
        rv=_ventricle(rv, (ed, es), end_frames(rv), beat, rate),
        myocardium=Myocardium(volume_ml=myo, mass_g=_mass(myo[ed]), mass_es_g=_mass(myo[es]) if es != ed else None),
        heart_rate_bpm=rate,
        body_surface_m2=area,
        lv_sphericity_ed=round_ed,
        lv_sphericity_es=round_es,
        papillary=choice.papillary,
        regional=regional,
        by_hand=choice.by_hand,
        notes=(*corrected.notes, *slice_notes, *_wall_notes(regional, choice), *_notes(labels, choice, beat, area)),
    )
    return function if labels.n_frames > 1 else of_one_frame(function)


def _corrected(labels: LabelMap, choice: SegmentChoice, cine: Cine | None, cut: ValveCut | None) -> Corrected:
    """The labels as a person wants them measured, and ED and ES."""
    if cut is not None and (choice.by_hand.left_out or choice.by_hand.added):
        raise InputError("The valve planes tell which basal slices count; set them by hand, or cut at the valves.")

    def guide(edited: LabelMap) -> np.ndarray:
        lv, _, rv = _volumes(edited, choice, cine, cut)
        return lv if lv.any() else rv

    return correct(labels, choice.by_hand, guide)


def _volumes(
    labels: LabelMap, choice: SegmentChoice, cine: Cine | None, cut: ValveCut | None
) -> tuple[np.ndarray, ...]:
    """(T,) ml of LV, myocardium and RV as they are counted."""
    counted = _counted(labels, choice.papillary, cine)
    return tuple(_volume(label, labels, counted, cut) for label in (LV, MYO, RV))


def _short_axis(labels: LabelMap, ed: int) -> tuple[LabelMap | None, tuple[str, ...]]:
    """The labels on short-axis slices, None where they cannot be brought there; notes of the reader, and on slices."""
    try:
        slices = on_short_axis(labels, ed)
    except InputError as error:
        return None, (*labels.notes, f"No thickness and no strain: {error}")
    return slices, (*slices.notes, *stack_end_notes(slices.labels[ed]))


def _where_drawn(volume_ml: np.ndarray, labels: LabelMap) -> np.ndarray:
    """(T,) volumes, NaN in frames in which nothing is labelled, if something is in others."""
    drawn = labels.labels.any((1, 2, 3))
    return np.where(drawn, volume_ml, np.nan) if drawn.any() else volume_ml


def _unsized(labels: LabelMap, choice: SegmentChoice, corrected: Corrected) -> Function:
    """What is known without a voxel size: the frames of ED and ES."""
    unknown = np.full(labels.n_frames, np.nan)
    ventricle = Ventricle(
        volume_ml=unknown,
        edv_ml=None,
        esv_ml=None,
        sv_ml=None,
        ef_percent=None,
        cardiac_output_l_per_min=None,
        filling=None,
    )
    return Function(
        times_ms=labels.times_ms,
        ed=corrected.phases[0],
        es=corrected.phases[1],
        lv=ventricle,
        rv=ventricle,
        myocardium=Myocardium(volume_ml=unknown, mass_g=None, mass_es_g=None),
        heart_rate_bpm=choice.body.heart_rate_bpm,
        body_surface_m2=body_surface_m2(choice.body.height_m, choice.body.weight_kg),
        lv_sphericity_ed=None,
        lv_sphericity_es=None,
        papillary=choice.papillary,
        regional=None,
        by_hand=choice.by_hand,
        notes=(*corrected.notes, *labels.notes, UNSIZED_NOTE),
    )


def _counted(labels: LabelMap, papillary: str, cine: Cine | None) -> LabelMap:
    """The labels of which volumes are taken."""
    if papillary == "cavity":
        return labels
    if cine is None:
        raise InputError("Counting papillary muscles as myocardium needs the images: give the cine of the labels.")
    return papillary_to_myocardium(labels, cine)


def _volume(label: int, labels: LabelMap, counted: LabelMap, cut: ValveCut | None) -> np.ndarray:
    """(T,) ml; papillary muscles change the volumes below the valve planes by as much as the whole ones."""
    if cut is None:
        return counted.volume_ml(label)
    below = {LV: cut.lv_ml, MYO: cut.myo_ml, RV: cut.rv_ml}[label]
    return below + counted.volume_ml(label) - labels.volume_ml(label)


def _ventricle(
    volume_ml: np.ndarray, phases: tuple[int, int], own: tuple[int, int], beat: float | None, rate: float | None
) -> Ventricle:
    """One ventricle from its volumes (T,).

    Args:
        volume_ml: over the cycle.
        phases: frames of ED and ES of the heart, at which volumes are taken.
        own: the same of this ventricle's curve, between which it empties.
        beat: ms, if known.
        rate: beats per minute, if known.
    """
    edv, esv = (float(volume_ml[t]) for t in phases)
    there, moves = edv > 0, edv > 0 and phases[0] != phases[1]
    stroke = edv - esv if moves else None
    return Ventricle(
        volume_ml=volume_ml,
        edv_ml=edv if there else None,
        esv_ml=esv if moves else None,
        sv_ml=stroke,
        ef_percent=100.0 * (edv - esv) / edv if moves else None,
        cardiac_output_l_per_min=None if stroke is None or rate is None else stroke * rate / 1000.0,
        filling=filling(volume_ml, beat, *own),
    )


def _mass(myocardium_ml: float) -> float | None:
    return float(myocardium_ml * MYOCARDIAL_DENSITY_G_PER_ML) if myocardium_ml > 0 else None


def _sphericities(labels: LabelMap, ed: int, es: int) -> tuple[float | None, float | None]:
    base = base_direction(labels, ed)
    if base is None:
        return None, None
    towards_base = 1 if base @ labels.ijk_to_lps[:3, 2] > 0 else -1
    return sphericity(labels, ed, towards_base), sphericity(labels, es, towards_base) if es != ed else None


def _wall_notes(regional: Regional | None, choice: SegmentChoice) -> list[str]:
    notes = list(regional.notes) if regional is not None else ["There is no LV wall: no thickness and no strain."]
    if choice.papillary == "myocardium":
        notes.append(
            "Papillary muscles and trabeculae, told by their signal, count as myocardium in volumes and mass; "
            "fast flow and valve leaflets near the base can look like them."
        )
    return notes


def _notes(labels: LabelMap, choice: SegmentChoice, beat: float | None, area: float | None) -> list[str]:
    """Of heart rate, frames and, in people, body surface area."""
    notes, n_frames = [], labels.n_frames
    if n_frames > 1 and not choice.body.heart_rate_bpm:
        notes.append(_rate_note(labels.times_ms is not None, beat))
    if 1 < n_frames < LEAST_FRAMES:
        notes.append(f"{n_frames} frames are too few for filling rates; they take {LEAST_FRAMES}.")
    if area is None and species_named(choice.species).is_human:
        notes.append("Height or weight is unknown: nothing is indexed by body surface area.")
    return notes


def _rate_note(timed: bool, beat: float | None) -> str:
    if beat:
        return "The heart rate is taken from the frame times: the file gives none."
    lacking = "the frame times cannot be those of one beat" if timed else "the file gives no frame times"
    return f"There is no heart rate, and {lacking}: no cardiac output, no rates."
