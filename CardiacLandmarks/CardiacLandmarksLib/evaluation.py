"""Accuracy of a landmark network: on four-chamber frames it never saw, and on phantoms, whose points are exact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from CardiacLandmarksLib.detect.detector import DETECTED_VIEWS, Detector
from CardiacLandmarksLib.train.examples import PRESENT
from CardiacLandmarksLib.train.four_chamber import MITRAL, PIXEL_MM, TRICUSPID, FourChamberFrames
from CardiacLib.geometry import apply
from CardiacLib.phantom import PhantomOptions
from CardiacLib.phantom.imaging import render
from CardiacLib.phantom.motion import solve_motion
from CardiacLib.phantom.study import make_scene
from CardiacLib.phantom.truth import valve_points
from CardiacLib.phantom.views import heart_to_lps, lax_grid
from CardiacLib.progress import Progress, silent
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS

GROUPS = {"mitral": MITRAL, "tricuspid": TRICUSPID}
NEAR_PIXELS = 8.0
"""An error up to this counts as near."""
FAR = 1e6
PHANTOMS = (
    PhantomOptions(n_frames=10, seed=1),
    PhantomOptions(n_frames=10, seed=2, lv_edv_ml=220.0, lv_ef_percent=30.0, mapse_mm=6.0, tapse_mm=12.0, wall_mm=8.0),
    PhantomOptions(n_frames=10, seed=3, lv_edv_ml=100.0, wall_mm=14.0, roll_deg=12.0, noise=0.04, lax_pixel_mm=1.8),
)
"""Hearts of the evaluation; none is in the synthetic corpus, whose hearts come from its own seeds."""


@dataclass(frozen=True)
class FoundFrame:
    """One image with its labelled and its found points.

    Attributes:
        name: of the image.
        image: (H, W).
        true, found: (10, 2) row and column in pixels; NaN where not labelled or not found.
        confidence: (10,).
        views: (3,) probability of each of DETECTED_VIEWS.
    """

    name: str
    image: np.ndarray
    true: np.ndarray
    found: np.ndarray
    confidence: np.ndarray
    views: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """(10,) distance in pixels: infinite for a labelled point that was not found, NaN where nothing is labelled."""
        distance = np.linalg.norm(self.found - self.true, axis=1)
        return np.where(np.isfinite(self.true[:, 0]) & np.isnan(distance), np.inf, distance)

    @property
    def worst(self) -> float:
        return float(np.nanmax(self.errors))


Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, float]]
"""Image and points to changed image, changed points, and the factor by which pixels became larger."""


def _as_it_is(image, points):
    return image, points, 1.0


def _turned(image, points):
    return np.rot90(image), np.stack([image.shape[1] - 1 - points[:, 1], points[:, 0]], -1), 1.0


def _upside_down(image, points):
    return _turned(*_turned(image, points)[:2])


def _flipped(image, points):
    return image[:, ::-1], points * (1, -1) + (0, image.shape[1] - 1), 1.0


def _coarser(image, points):
    rows, columns = (n // 2 for n in image.shape)
    return image[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean((1, 3)), (points - 0.5) / 2, 2.0


def _gamma(exponent: float) -> Change:
    return lambda image, points: (255.0 * (image / 255.0) ** exponent, points, 1.0)


CHANGES: dict[str, Change] = {
    "as it is": _as_it_is,
    "turned by 90 degrees": _turned,
    "turned by 180 degrees": _upside_down,
    "flipped": _flipped,
    "2 x coarser pixels": _coarser,
    "gamma 0.6": _gamma(0.6),
    "gamma 1.6": _gamma(1.6),
}


def sure_frames(frames: FourChamberFrames) -> FourChamberFrames:
    """The frames whose mitral points were judged right and whose tricuspid points were read with some confidence."""
    all_four = (frames.examples.state[:, [*MITRAL, *TRICUSPID]] == PRESENT).all(1)
    return frames.where(frames.read & all_four)


def evaluate_frames(
    frames: FourChamberFrames,
    detector: Detector,
    change: Change = CHANGES["as it is"],
    view: str | None = "4ch",
    progress: Progress = silent,
) -> list[FoundFrame]:
    """Find the points of every frame by itself; errors are in pixels of the unchanged image.

    Args:
        frames: with labels.
        detector: to evaluate.
        change: applied to image and labels before.
        view: as the detector is told.
        progress: called with the fraction done.
    """
    found = []
    for n, name in enumerate(frames.files):
        rows, columns = frames.examples.size[n]
        image = frames.examples.images[n, :rows, :columns].astype(np.float32)
        image, true, factor = change(image, frames.examples.points[n].astype(float))
        spacing = (PIXEL_MM * factor, PIXEL_MM * factor)
        result = detector.detect(np.ascontiguousarray(image, np.float32)[None], spacing, view=view)
        points = result.points[0]
        found.append(FoundFrame(name, image, true * factor, points * factor, result.confidence[0], result.views))
        progress((n + 1) / len(frames.files), f"evaluating {name}")
    return found


def error_table(found: Sequence[FoundFrame]) -> list[dict[str, object]]:
    """One row per point and per valve: number, median, mean, 95th percentile and worst error in pixels, part within
    NEAR_PIXELS, and how many were not found. Points not found count as infinitely far in median, percentile and part;
    mean and worst are of those found."""
    errors = np.array([frame.errors for frame in found])
    labelled = [n for n in range(errors.shape[1]) if not np.isnan(errors[:, n]).all()]
    rows = [_row(LANDMARK_NAMES[n], errors[:, n]) for n in labelled]
    return rows + [
        _row(f"all {group}", errors[:, list(members)])
        for group, members in GROUPS.items()
        if set(members) <= {*labelled}
    ]


def _row(name: str, errors: np.ndarray) -> dict[str, object]:
    errors = np.sort(errors[~np.isnan(errors)])
    seen = errors[np.isfinite(errors)]
    return {
        "point": name,
        "n": len(errors),
        "median_px": _percentile(errors, 50),
        "mean_px": float(seen.mean()) if len(seen) else None,
        "p95_px": _percentile(errors, 95),
        "worst_px": float(seen[-1]) if len(seen) else None,
        "near_percent": float(100 * (errors <= NEAR_PIXELS).mean()),
        "missed": len(errors) - len(seen),
    }


def _percentile(errors: np.ndarray, percent: float) -> float | None:
    """None where it reaches points that were not found."""
    value = float(np.percentile(np.minimum(errors, FAR), percent))
    return value if value < 0.01 * FAR else None


def calibration(found: Sequence[FoundFrame], radius_px: float) -> dict[str, float | None]:
    """What the confidence says and what is so, of all labelled points: mean confidence, part within ``radius_px``;
    the part also of points with a confidence of 0.9 and more (sure) and of the others, None where there are none."""
    errors = np.array([frame.errors for frame in found])
    confidence = np.array([frame.confidence for frame in found])[~np.isnan(errors)]
    right = errors[~np.isnan(errors)] <= radius_px
    result = {"radius_px": radius_px, "points": len(right), "within_percent": 100 * float(right.mean())}
    result["mean_confidence_percent"] = 100 * float(confidence.mean())
    for name, chosen in (("sure", confidence >= 0.9), ("unsure", confidence < 0.9)):
        result[f"{name}_points"] = int(chosen.sum())
        result[f"{name}_within_percent"] = 100 * float(right[chosen].mean()) if chosen.any() else None
    return result


def phantom_cines(options: PhantomOptions) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """By view: frames (T, H, W), true points (T, 10, 2) in pixels (NaN of other views) and the pixel's side in mm."""
    motion = solve_motion(options)
    ed = motion.shapes[0]
    scene = make_scene(options, motion, heart_to_lps(options, ed))
    points = np.stack([apply(scene.to_lps, valve_points(options, shape)) for shape in scene.shapes])
    cines = {}
    for n, view in enumerate(DETECTED_VIEWS):
        grid = lax_grid(options, scene.to_lps, ed, view)
        frames = render(scene, grid, np.zeros((1, 3)), np.random.default_rng([options.seed, n]))[:, 0]
        pixels = apply(np.linalg.inv(grid.ijk_to_lps), points)[..., 1::-1]
        pixels[:, [own != view for own in LANDMARK_VIEWS]] = np.nan
        cines[view] = frames, pixels, options.lax_pixel_mm
    return cines


def evaluate_phantoms(
    detector: Detector, told: bool = True, phantoms: Sequence[PhantomOptions] | None = None
) -> list[FoundFrame]:
    """Every frame and view of every phantom, by default of PHANTOMS; ``told``: the detector is told the view."""
    found = []
    for number, options in enumerate(PHANTOMS if phantoms is None else phantoms, 1):
        for view, (frames, true, pixel_mm) in phantom_cines(options).items():
            result = detector.detect(frames, (pixel_mm, pixel_mm), view=view if told else None)
            for t, image in enumerate(frames):
                name = f"phantom {number} {view} {t}"
                parts = image, true[t], result.points[t], result.confidence[t], result.views
                found.append(FoundFrame(name, *parts))
    return found


def wrong_view(frames: FourChamberFrames, detector: Detector) -> float:
    """Percent of the points of the 2CH and the 3CH view that are found in four-chamber frames called by those names."""
    counts = []
    for view in DETECTED_VIEWS[:-1]:
        own = [n for n, of in enumerate(LANDMARK_VIEWS) if of == view]
        for frame in evaluate_frames(frames, detector, view=view):
            counts.append(np.isfinite(frame.found[own, 0]).mean())
    return 100 * float(np.mean(counts))
