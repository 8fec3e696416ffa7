"""From one frame of a short-axis cine to 3-D consistent labels at 1.25 mm: crop, base, start slice, propagation."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from BiVMeshLib.prepare.align import align_slices
from BiVMeshLib.prepare.labels_check import LabelStack, check_labels, reversed_slices
from CardiacLib import geometry
from CardiacLib.errors import InputError
from CardiacLib.networks.intensity import normalise
from CardiacLib.networks.spoilt_slices import bridged, spoilt_note, spoilt_slices
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import (
    AUTO,
    INITIALIZATION_BUNDLE,
    PROPAGATION_BUNDLE,
    NetworkChoice,
    RunsOn,
    require_choice,
)
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap, largest_piece
from CardiacLib.types.mesh_options import MeshOptions
from CardiacLib.types.times import times_at
from CardiacLib.types.values import job_value

from .base_slice import apex_first_by, base_at_valves, chosen_slices, named
from .isotropic import ON_END, SIDE, SPACING, IsotropicGrid, apex_first, heart_centre, with_apex
from .propagate import MUSCLE, Evidence, Initializer, Propagator
from .slice_labels import label_slices

ROOM = 8
"""Voxels between the heart and the border of its window."""
LABELS_SHARE, NETWORK_SHARE = 0.7, 0.5
"""Part of labels and of the initialization network in the joint probability (:class:`~.propagate.Evidence`)."""
LABELS_BLUR, LABELS_SURE = 1.0, 0.96
"""Labels as probabilities: outlines blurred by this standard deviation in voxels, and not wholly trusted."""
EVIDENCE = (AUTO, "labels", "network", "none")
POOR = 0.74
"""Slices whose confidence is below this are named in the notes."""


@job_value
@dataclass(frozen=True)
class PropagationOptions:
    """What a user may choose.

    Attributes:
        start_slice: slice of the stack (k) to start from; None for the middle between apex and base.
        base_slice: slice of the stack (k) that carries the base; None to let valve points, labels or networks tell.
        evidence: what is asked beside the propagation in every other slice: ``labels``; the initialization
            ``network``; ``none``, which is the published method; ``auto`` for the labels where there are some and no
            start slice was chosen, else the network.
        rv_wall_mm: thickness of the RV wall grown where the labels have none.
        align_slices: first move slices, image and labels, back into line where breath-holds displaced them.
    """

    start_slice: int | None = None
    base_slice: int | None = None
    evidence: str = EVIDENCE[0]
    rv_wall_mm: float = MeshOptions.rv_wall_mm
    align_slices: bool = False

    def __post_init__(self):
        require_choice(self.evidence, EVIDENCE, "evidence")


@job_value
@dataclass(frozen=True)
class Propagation:
    """3-D consistent labels of one frame.

    Attributes:
        labels: T = 1 on cubic voxels of 1.25 mm round the heart, values 0 to 4, empty over the base.
        confidence: (Z,) of the myocardium in every slice of ``labels``; NaN in slices without, and in those beyond the
            apical end of the images, whose labels come of shape alone.
        start_slice, base_slice: slices (k) of the stack that were used.
        start, base: the same as slices of ``labels``; with valve points ``base`` is the last slice under their plane.
        notes: what was decided, one sentence each.
    """

    labels: LabelMap
    confidence: np.ndarray
    start_slice: int
    base_slice: int
    start: int
    base: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class GridPropagation:
    """Labels uint8 (Z, H, W) and confidence (Z,) on a grid, apex first; further as of :class:`Propagation`."""

    labels: np.ndarray
    confidence: np.ndarray
    grid: IsotropicGrid
    start: int
    base: int
    start_slice: int
    base_slice: int
    reversed: bool
    notes: tuple[str, ...]


class SlicePropagation:
    """Both networks, loaded once; call it with a cine's frame.

    Args:
        runs_on: device and backend of both.
        propagation, initialization: names or folders of their MONAI bundles.
        trust: let the configurations of foreign folders run code.

    Raises:
        InputError: bundle, weights, device or backend cannot be used.
    """

    def __init__(
        self,
        runs_on: RunsOn = RunsOn(),
        *,
        propagation: str = PROPAGATION_BUNDLE,
        initialization: str = INITIALIZATION_BUNDLE,
        trust: bool = False,
    ):
        self.propagator = Propagator(NetworkChoice(propagation, runs_on, trust=trust))
        self._initialization = NetworkChoice(initialization, runs_on, trust=trust)
        self._initializer = None

    @property
    def initializer(self) -> Initializer:
        """The initialization network, loaded when it is first needed."""
        if self._initializer is None:
            self._initializer = Initializer(self._initialization)
        return self._initializer

    def __call__(
        self,
        cine: Cine,
        frame: int = 0,
        labels: LabelMap | None = None,
        options: PropagationOptions | None = None,
        *,
        progress: Progress = silent,
        valves: np.ndarray | None = None,
    ) -> Propagation:
        """Propagate one slice of a frame to base and apex.

        Args:
            cine: short-axis stack of at least three slices.
            frame: of the cine, and of ``labels`` if these have as many frames; labels of one frame are this frame's.
            labels: on the grid of the cine; the start slice is taken from them, corrected by hand or not. None: the
                initialization network labels the start slice.
            options: start and base slice.
            progress: called with the fraction done.
            valves: (10, 3) valve points of the frame, LPS mm, in the order of LANDMARK_NAMES, NaN if not
                seen: they tell the base where ``options`` leave it open.

        Raises:
            InputError: the stack, labels, slices or points cannot be used; one sentence says why.
        """
        found = self.on_grid(cine, frame, labels, options, progress=progress, valves=valves)
        made, matrix = found.labels, found.grid.ijk_to_lps
        confidence, start, base = found.confidence, found.start, found.base
        if found.reversed:
            made, matrix = reversed_slices(made, matrix)
            confidence = confidence[::-1]
            start, base = (found.grid.depth - 1 - z for z in (start, base))
        result = LabelMap(np.ascontiguousarray(made)[None], matrix, times_at(cine.times_ms, [frame]), cine.source)
        return Propagation(
            labels=result,
            confidence=confidence,
            start_slice=found.start_slice,
            base_slice=found.base_slice,
            start=start,
            base=base,
            notes=found.notes,
        )

    def on_grid(
        self,
        cine: Cine,
        frame: int = 0,
        labels: LabelMap | None = None,
        options: PropagationOptions | None = None,
        *,
        progress: Progress = silent,
        valves: np.ndarray | None = None,
    ) -> "GridPropagation":
        """As :meth:`__call__`, with slices from apex to base whatever the order of the cine's."""
        options = options or PropagationOptions()
        if labels is None and options.evidence == "labels":
            raise InputError("There are no labels to take as evidence; give labels, or another evidence.")
        for what, k in (("start", options.start_slice), ("base", options.base_slice)):
            if k is not None and not 0 <= k < cine.n_slices:
                raise InputError(f"There is no {what} {named(k)}: the stack has indices 0 to {cine.n_slices - 1}.")
        shown, spoilt = shown_frames(cine)
        if labels is None:
            labelled = label_slices(self.initializer, shown, frame, cine, part(progress, 0.0, 0.4))
        else:
            labelled = _frame_of(labels, cine, frame)
        plane = None
        if valves is not None and options.base_slice is None:
            plane = base_at_valves(labelled, cine.ijk_to_lps, valves)
            stack = check_labels(labelled, cine.ijk_to_lps, plane.apex_first, plane.base_slice)
        else:
            order = apex_first_by(labelled, options.base_slice)
            stack = check_labels(labelled, cine.ijk_to_lps, order, options.base_slice)
        if options.align_slices:
            stack = align_slices(stack)
        frames, matrix, turned = apex_first(shown[frame], cine.ijk_to_lps, stack)
        start, base, notes = chosen_slices(stack, options.start_slice, turned)
        grid = _grid(matrix, frames.shape, stack)
        first, last = grid.slice_at(start), grid.slice_at(base)
        if plane is not None:
            last, notes = max(grid.slice_under(plane.place), first), (*notes, plane.note)
        images, made = grid.images(frames, stack.shifts), grid.labels(stack, options.rv_wall_mm)
        evidence = self._evidence(options, images, made, labels is not None)
        found = self.propagator(images, made[first], first, last, evidence=evidence, progress=part(progress, 0.5, 0.95))
        notes += spoilt_note(spoilt)
        closed = one_piece(with_apex(found.labels, grid))
        confidence = _where_shown(found.confidence, closed, grid)
        poor = _poor_slices(confidence, grid, len(frames), turned)
        if poor:
            notes += (f"The network is unsure near {', '.join(map(named, poor))}: look there.",)
        start_slice, base_slice = (len(frames) - 1 - k if turned else k for k in (start, base))
        return GridPropagation(
            labels=closed,
            confidence=confidence,
            grid=grid,
            start=first,
            base=last,
            start_slice=start_slice,
            base_slice=base_slice,
            reversed=turned,
            notes=(*stack.notes, *notes),
        )

    def _evidence(
        self, options: PropagationOptions, images: np.ndarray, made: np.ndarray, given: bool
    ) -> Evidence | None:
        kind = options.evidence
        if kind == AUTO:
            kind = "labels" if given and options.start_slice is None else "network"
        if kind == "labels":
            return Evidence(_as_probabilities(made), LABELS_SHARE)
        return Evidence(self.initializer.each(images), NETWORK_SHARE) if kind == "network" else None


def shown_frames(cine: Cine) -> tuple[np.ndarray, np.ndarray]:
    """What the networks see: float32 (T, K, J, I) normalised, spoilt slices interpolated; bool (K,) which those are."""
    spoilt = spoilt_slices(cine.frames, cine.spacing)
    return normalise(bridged(cine.frames, spoilt)), spoilt


def _where_shown(confidence: np.ndarray, labels: np.ndarray, grid: IsotropicGrid) -> np.ndarray:
    """Confidence (Z,), NaN where no image shows what is labelled, or where no myocardium was left."""
    seen = (grid.stack_slices() > -ON_END) & np.isin(labels, MUSCLE).any((1, 2))
    return np.where(seen, confidence, np.nan).astype(np.float32)


def _as_probabilities(labels: np.ndarray) -> np.ndarray:
    """Labels (Z, H, W) as probabilities (Z, 5, H, W)."""
    one_hot = np.stack([labels == n for n in range(5)], 1).astype(np.float32)
    blurred = ndimage.gaussian_filter(one_hot, (0, 0, LABELS_BLUR, LABELS_BLUR))
    return LABELS_SURE * blurred + (1 - LABELS_SURE) / 5


def _frame_of(labels: LabelMap, cine: Cine, frame: int) -> np.ndarray:
    if labels.labels.shape[1:] != cine.frames.shape[1:] or not np.allclose(
        labels.ijk_to_lps, cine.ijk_to_lps, atol=1e-2
    ):
        raise InputError(f"{labels.source or 'The labels'}: are not on the grid of {cine.source or 'the cine'}.")
    if len(labels.labels) == cine.n_frames:
        return labels.labels[frame]
    if len(labels.labels) == 1:
        return labels.labels[0]
    raise InputError(
        f"{labels.source or 'The labels'}: have {len(labels.labels)} frames, the cine {cine.n_frames}; give as many, "
        "or one."
    )


def _grid(matrix: np.ndarray, counts: tuple[int, int, int], stack: LabelStack) -> IsotropicGrid:
    """The grid round the labelled heart; wider than usual where the heart needs it."""
    heart = (stack.lv_epi | stack.rv).any(0)
    spacing = geometry.spacing_of(matrix)[1::-1]
    extent = max(np.ptp(np.nonzero(heart)[axis]) * spacing[axis] for axis in (0, 1)) / SPACING
    side = max(SIDE, int(np.ceil((extent + 2 * ROOM) / 16)) * 16)
    return IsotropicGrid.round_heart(matrix, counts, heart_centre(stack), side)


def one_piece(labels: np.ndarray) -> np.ndarray:
    """Labels (Z, H, W) with only the largest piece of the LV with its wall, and of the RV with its wall."""
    out = labels.copy()
    for values in ((1, 2), (3, 4)):
        body = np.isin(labels, values)
        out[body & ~largest_piece(body)] = 0
    return out


def _poor_slices(confidence: np.ndarray, grid: IsotropicGrid, count: int, turned: bool) -> list[int]:
    """Slices of the stack (k) near which the mean confidence is low."""
    place = np.clip(np.round(grid.stack_slices()), 0, count - 1).astype(int)
    mean = {k: confidence[(place == k) & np.isfinite(confidence)] for k in range(count)}
    poor = [k for k, values in mean.items() if len(values) and values.mean() < POOR]
    return sorted(count - 1 - k if turned else k for k in poor)
