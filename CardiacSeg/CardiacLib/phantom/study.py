"""Put a phantom study together."""

from dataclasses import dataclass, replace

import numpy as np

from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, Landmarks
from CardiacLib.types.patient import Patient

from . import truth
from .body import Texture
from .imaging import Scene, render
from .motion import Motion, solve_motion, tricuspid_hinges
from .options import PhantomOptions
from .vessels import surroundings
from .views import Grid, heart_to_lps, lax_grid, sax_grid

MYOCARDIUM_G_PER_ML = 1.05
LAX_VIEWS = ("2ch", "3ch", "4ch")
SOURCE = "CineHeart phantom"


@dataclass(frozen=True)
class Phantom:
    """A synthetic study with its truth.

    Attributes:
        options: what it was made from.
        cines: by view (sax, 2ch, 3ch, 4ch).
        labels: of the short-axis stack, at each slice's middle plane, papillary muscles counted as cavity.
        volumes: ml per frame, each (T,): ``lv``, ``rv``, ``myo`` (of the shapes, not of the voxels).
        landmarks: the ten valve points, LPS mm.
        motion: the shape of every frame in the heart frame, with ED 0 and ES ``motion.es``.
        heart_to_lps: 4x4, heart frame to LPS.
        slice_shifts: (K, 3) LPS mm, breath-hold shift of each short-axis slice, in the stack's slice order.
    """

    options: PhantomOptions
    cines: dict[str, Cine]
    labels: LabelMap
    volumes: dict[str, np.ndarray]
    landmarks: Landmarks
    motion: Motion
    heart_to_lps: np.ndarray
    slice_shifts: np.ndarray

    @property
    def ed(self) -> int:
        return 0

    @property
    def es(self) -> int:
        return self.motion.es

    def surfaces(self, frame: int, step_mm: float = 1.0) -> dict[str, dict[str, np.ndarray]]:
        """Closed surfaces EPI, ENDO_LV, ENDO_RV of one frame (see ``truth.surfaces``), LPS mm."""
        return truth.surfaces(self.motion.shapes[frame], self.heart_to_lps, step_mm)

    def slice_heights(self) -> np.ndarray:
        """(K,) mm, where each short-axis slice lies on the LV axis of the heart frame."""
        to_heart = np.linalg.inv(self.heart_to_lps) @ self.labels.ijk_to_lps
        return to_heart[2, 3] + to_heart[2, 2] * np.arange(self.labels.labels.shape[1])

    def summary(self) -> dict[str, object]:
        """The truth as plain values: volumes, function, mass, landmarks, slice shifts, options."""
        lv, rv = self.volumes["lv"], self.volumes["rv"]
        result: dict[str, object] = {"frame": "LPS", "ed": self.ed, "es": self.es}
        result["times_ms"] = self.motion.times_ms.tolist()
        for name, curve in (("lv", lv), ("rv", rv)):
            edv, esv = float(curve[self.ed]), float(curve[self.es])
            result |= {f"{name}_edv_ml": edv, f"{name}_esv_ml": esv, f"{name}_ef_percent": 100.0 * (1.0 - esv / edv)}
        result["lv_mass_g"] = float(self.volumes["myo"][self.ed] * MYOCARDIUM_G_PER_ML)
        result["volumes_ml"] = {name: curve.tolist() for name, curve in self.volumes.items()}
        result["landmarks"] = {"names": list(LANDMARK_NAMES), "views": list(LANDMARK_VIEWS)}
        result["landmarks"]["points_lps"] = self.landmarks.points.tolist()
        result["slice_shifts_lps"] = self.slice_shifts.tolist()
        result["options"] = self.options.to_dict()
        return result


def make_phantom(options: PhantomOptions | None = None, progress: Progress = silent) -> Phantom:
    """Make a study: solve the motion, image the four views, take the truth from the same shapes.

    Same options, same voxels. Raises InputError when no heart of this form has the requested volumes.

    Example:
        >>> from CardiacLib.phantom import PhantomOptions
        >>> phantom = make_phantom(PhantomOptions.small())
        >>> phantom.cines["sax"].frames.shape  # frame, slice, row, column
        (8, 13, 96, 96)
        >>> sorted(phantom.cines), phantom.ed, phantom.es
        (['2ch', '3ch', '4ch', 'sax'], 0, 3)
    """
    options = options or PhantomOptions()
    motion = solve_motion(options)
    progress(0.05, "shapes solved")
    ed = motion.shapes[0]
    scene = make_scene(options, motion, heart_to_lps(options, ed))
    grid = sax_grid(options, scene.to_lps, ed)
    shifts = _shifts(options, grid)
    seeds = np.random.SeedSequence(options.seed).spawn(len(LAX_VIEWS) + 1)
    frames = render(scene, grid, shifts, np.random.default_rng(seeds[0]), part(progress, 0.1, 0.75))
    labels = truth.label_stack(scene, grid, shifts)
    matrix, frames, labels, shifts = _reordered(options, grid.ijk_to_lps, frames, labels, shifts)
    cines = {"sax": _cine(options, motion, frames, matrix, "sax")}
    for n, view in enumerate(LAX_VIEWS):
        lax = lax_grid(options, scene.to_lps, ed, view)
        images = render(scene, lax, np.zeros((1, 3)), np.random.default_rng(seeds[n + 1]))
        cines[view] = _cine(options, motion, images, lax.ijk_to_lps, view)
        progress(0.75 + 0.07 * (n + 1), f"imaging {view}")
    result = Phantom(
        options=options,
        cines=cines,
        labels=LabelMap(labels, matrix, motion.times_ms, SOURCE),
        volumes=truth.volumes(motion),
        landmarks=truth.landmarks(options, motion, scene.to_lps),
        motion=motion,
        heart_to_lps=scene.to_lps,
        slice_shifts=shifts,
    )
    progress(1.0, "phantom made")
    return result


def measured_labels(options: PhantomOptions) -> tuple[LabelMap, dict[str, np.ndarray]]:
    """Labels of ED and ES only, without images, and the true volumes (2,): what slicing alone costs in accuracy."""
    motion = solve_motion(options)
    chosen = [0, motion.es]
    motion = replace(motion, shapes=tuple(motion.shapes[t] for t in chosen), times_ms=motion.times_ms[chosen], es=1)
    ed = motion.shapes[0]
    scene = make_scene(options, motion, heart_to_lps(options, ed))
    grid = sax_grid(options, scene.to_lps, ed)
    labels = truth.label_stack(scene, grid, np.zeros((grid.shape[0], 3)))
    return LabelMap(labels, grid.ijk_to_lps, motion.times_ms, SOURCE), truth.volumes(motion)


def make_scene(options: PhantomOptions, motion: Motion, to_lps: np.ndarray) -> Scene:
    """What image formation needs of every frame of ``motion``, the heart placed by ``to_lps`` (4x4)."""
    around = []
    for t, shape in enumerate(motion.shapes):
        ejecting = 0 < t < motion.es
        filling = t > motion.es and shape.phase < 0.95
        opening = 0.0 if not filling else 0.55 + 0.45 * float(np.sin(np.pi * shape.phase) ** 2)
        hinges = tricuspid_hinges(options, shape)
        around.append(surroundings(shape, motion.shapes[0], hinges, opening, ejecting))
    return Scene(options, to_lps, motion.shapes, tuple(around), Texture(options.seed))


def _shifts(options: PhantomOptions, grid: Grid) -> np.ndarray:
    """(K, 3) LPS mm in-plane shifts of the heart, one per breath hold."""
    draws = np.random.default_rng([options.seed, 2]).standard_normal((grid.shape[0], 2)) * options.breath_hold_shift_mm
    in_plane = grid.ijk_to_lps[:3, :2] / np.linalg.norm(grid.ijk_to_lps[:3, :2], axis=0)
    return draws @ in_plane.T


def _reordered(options: PhantomOptions, matrix, frames, labels, shifts):
    """Voxel order asked for by ``apex_first`` and ``left_handed``; every voxel keeps its place in LPS."""
    flip_k = not options.apex_first
    flip_i = options.left_handed == options.apex_first  # either flip alone changes the handedness
    steps = np.diag([-1.0 if flip_i else 1.0, 1.0, -1.0 if flip_k else 1.0, 1.0])
    if flip_i:
        steps[0, 3] = frames.shape[3] - 1
        frames, labels = frames[..., ::-1], labels[..., ::-1]
    if flip_k:
        steps[2, 3] = frames.shape[1] - 1
        frames, labels, shifts = frames[:, ::-1], labels[:, ::-1], shifts[::-1]
    return matrix @ steps, np.ascontiguousarray(frames), np.ascontiguousarray(labels), shifts


def _cine(options: PhantomOptions, motion: Motion, frames: np.ndarray, matrix: np.ndarray, view: str) -> Cine:
    patient = Patient(name="Phantom", id=f"phantom-{options.seed}", heart_rate_bpm=60000.0 / options.rr_ms)
    return Cine(np.rint(frames), matrix, motion.times_ms, view, SOURCE, (), patient)  # scanners store whole numbers
