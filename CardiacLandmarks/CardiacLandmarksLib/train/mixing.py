"""Mixed training images: hearts of the phantom in real surroundings, and real hearts or parts of them in the phantom.

Real labelled images exist of the four-chamber view alone. A network that sees real texture in one view only learns
that what looks real is that view. Here the real frames give their texture to all views: the left heart alone is a 2CH
view, the ventricles under the phantom's aorta and atrium are a 3CH view. Parts are joined where their mitral points
and apex coincide, with soft seams, and as much for the 4CH view as for the others, so that seams tell nothing.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import affine_transform, distance_transform_edt, gaussian_filter, map_coordinates

from CardiacLib.errors import InputError
from CardiacLib.types.landmarks import LANDMARK_NAMES

from .examples import ABSENT, CANVAS, PRESENT, VIEWS, Cutouts, Examples
from .four_chamber import MITRAL

RECIPES = {
    "2ch": {"in real surroundings": 0.3, "real left heart": 0.35, "without the right heart": 0.35},
    "3ch": {"in real surroundings": 0.45, "real left heart": 0.2, "real ventricles": 0.35},
    "4ch": {"in real surroundings": 0.25, "real left heart": 0.15, "real ventricles": 0.2, "real heart": 0.4},
    "other": {"in real surroundings": 1.0},
}
"""By view, how often each way of mixing is taken."""
VIEW_SHARES = {"2ch": 0.34, "3ch": 0.32, "4ch": 0.26, "other": 0.08}
SIDES = {
    "2ch": ("mitral posterior 2CH", "mitral anterior 2CH"),
    "3ch": ("aortic septal", "mitral free wall 3CH"),
    "4ch": ("mitral septal 4CH", "mitral free wall 4CH"),
}
"""The two points at the ends of the LV's base in each view: that on the side of the septum in a 4CH view, the other."""
AORTIC = ("aortic septal", "aortic free wall")
MOST_STRETCH = 1.9
"""Ratio of the largest to the least stretching of a real part; beyond it another pair is drawn."""
MOST_PAIRS = 1000
WIDE_SHARE = 0.6
"""Part of the 3CH images whose aortic root is widened: the phantom's is narrower than that of many patients."""
SIDE_DOUBT = 0.1
"""Probability of a wrong point, in addition, where a 4CH half stands for a 2CH view."""


class Mixer:
    """Draws mixed images.

    Args:
        drawn: images of the phantom, of all views.
        real: real four-chamber frames; those without mitral points are left out.
        seed: of everything random here.

    Raises:
        InputError: there are no real frames with mitral points.
    """

    def __init__(self, drawn: Cutouts, real: Cutouts, seed: int = 0):
        known = (real.examples.state[:, list(MITRAL)] == PRESENT).all(1) & np.isfinite(real.apex).all(1)
        if not known.any():
            raise InputError("There are no real frames with mitral points and apex to mix with synthetic images.")
        self.drawn, self.real = drawn, real.where(known)
        self.by_view = {view: np.flatnonzero(drawn.examples.view == n) for n, view in enumerate(VIEWS)}
        self.rng = np.random.default_rng(seed)

    def draw(self, count: int) -> Examples:
        """``count`` images, each of a view and mixed in a way drawn at random."""
        views = self.rng.choice(list(VIEW_SHARES), count, p=list(VIEW_SHARES.values()))
        return Examples.join([self._one(view) for view in views])

    def _one(self, view: str) -> Examples:
        ways = RECIPES[view]
        way = self.rng.choice(list(ways), p=list(ways.values()))
        if way == "in real surroundings":
            return self.in_real_surroundings(self._drawn(view))
        if way in ("real left heart", "real ventricles"):
            return self._real_part(view, way)
        return self._on_collage(self._real(), whole=way == "real heart")

    def _drawn(self, view: str) -> Cutouts:
        drawn = self.drawn.where(self.rng.choice(self.by_view[view], 1))
        return _widened(drawn, self.rng) if view == "3ch" and self.rng.random() < WIDE_SHARE else drawn

    def _real(self) -> Cutouts:
        return self.real.where(self.rng.integers(len(self.real), size=1))

    def in_real_surroundings(self, drawn: Cutouts) -> Examples:
        """A heart of the phantom, its surroundings replaced by real tissue."""
        rng, pixel = self.rng, float(drawn.examples.pixel_mm[0])
        cover = drawn.cover[0] / 255.0
        rim = rng.uniform(0.0, 5.0) / pixel - distance_transform_edt(cover < 0.5)
        alpha = np.clip(0.5 + rim / rng.uniform(1.0, 4.0), 0.0, 1.0)
        behind = self._collage(drawn.examples.centres()[0], pixel) * rng.uniform(0.6, 1.3)
        return _with_image(drawn.examples, _blend(behind, drawn.examples.images[0], alpha))

    def _real_part(self, view: str, way: str) -> Examples:
        """The phantom's image with a real left ventricle, left heart or both ventricles in the place of its own."""
        for _ in range(MOST_PAIRS):
            drawn, real = self._drawn(view), self._real()
            matrix = self._fit(drawn, real, view)
            if matrix is not None:
                break
        else:
            raise InputError(f"No synthetic {view.upper()} image fits a real frame; make more synthetic hearts.")
        around = Around.of(real)
        if way == "real ventricles":
            alpha = _step(-around.height - self.rng.uniform(1.0, 5.0), 4.0)
        else:
            atrium = view != "3ch" and self.rng.random() < 0.6
            alpha = around.left_heart(self.rng.uniform(5.0, 10.0), self.rng.uniform(16.0, 26.0) if atrium else 0.0)
        size = real.examples.size[0]
        inside = np.zeros((CANVAS, CANVAS))
        inside[2 : size[0] - 2, 2 : size[1] - 2] = 1.0
        image, alpha = (
            _warp(a, matrix) for a in (real.examples.images[0].astype(float), gaussian_filter(inside * alpha, 1))
        )
        pool = _warp(real.cover[0] / 255.0, matrix) > 0.5
        behind = drawn.examples.images[0].astype(float)
        if pool.any():
            image *= np.clip(behind[pool].mean() / max(image[pool].mean(), 1.0), 0.4, 2.5)
        doubt = drawn.examples.doubt.copy()
        doubt[drawn.examples.state == PRESENT] = real.examples.doubt[0, MITRAL[0]]
        return replace(_with_image(drawn.examples, _blend(behind, image, alpha)), doubt=doubt)

    def _fit(self, drawn: Cutouts, real: Cutouts, view: str) -> np.ndarray | None:
        """Affine 2x3 from pixels of the phantom to those of the real frame, apex on apex, base on base; None if it
        would stretch too much. The 2CH view may take either side for the septal one."""
        names = SIDES[view] if view != "2ch" or self.rng.random() < 0.5 else SIDES[view][::-1]
        own = drawn.examples.points[0, [LANDMARK_NAMES.index(name) for name in names]]
        to = np.vstack([real.apex, real.examples.points[0, list(MITRAL)]])
        of = np.vstack([drawn.apex, own])
        if not np.isfinite(of).all():
            return None
        matrix = np.linalg.solve(np.column_stack([of, np.ones(3)]), to).T
        stretch = np.linalg.svd(matrix[:, :2], compute_uv=False)
        return matrix if stretch[0] < MOST_STRETCH * stretch[1] and stretch[1] > 0.4 else None

    def _on_collage(self, real: Cutouts, whole: bool) -> Examples:
        """A real heart whose surroundings (``whole``), or whose right heart and what lies behind it, were replaced."""
        rng, around = self.rng, Around.of(real)
        keep = around.whole_heart(rng) if whole else 1.0 - around.right_heart(rng)
        behind = self._collage(real.examples.centres()[0], float(real.examples.pixel_mm[0]))
        image = _blend(behind * rng.uniform(0.6, 1.2), real.examples.images[0], keep)
        size = real.examples.size[0]
        image[size[0] :], image[:, size[1] :] = 0, 0
        examples = real.examples
        view = "4ch" if whole else "2ch"
        state = np.full_like(examples.state, ABSENT)
        points, doubt = np.full_like(examples.points, np.nan), np.zeros_like(examples.doubt)
        if whole:
            own = [n for n, name in enumerate(LANDMARK_NAMES) if "4CH" in name or "tricuspid" in name]
            state[:, own], points[:, own], doubt[:, own] = (
                v[:, own] for v in (examples.state, examples.points, examples.doubt)
            )
        else:  # what was left of the real image lies beyond the free wall: lung, as beyond the anterior wall
            own = [LANDMARK_NAMES.index(name) for name in SIDES["2ch"]]
            state[:, own], points[:, own] = PRESENT, examples.points[:, list(MITRAL)]
            doubt[:, own] = np.minimum(examples.doubt[:, list(MITRAL)] + SIDE_DOUBT, 0.9)
        known = replace(examples, points=points, state=state, doubt=doubt)
        return replace(_with_image(known, image), view=np.full(1, VIEWS.index(view), np.uint8))

    def _collage(self, centre: np.ndarray, pixel_mm: float) -> np.ndarray:
        """(CANVAS, CANVAS) real tissue without a heart, from what lies around the hearts of two frames."""
        first, heart = self._beside_a_heart(centre, pixel_mm)
        second, _ = self._beside_a_heart(centre, pixel_mm)
        return first + heart * (second - first)

    def _beside_a_heart(self, centre: np.ndarray, pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """A turned real frame of which a place beside the heart lies at ``centre``, and where its heart is (0..1)."""
        rng, real = self.rng, self._real()
        around = Around.of(real)
        angle, turn = rng.uniform(0.0, 2.0 * np.pi, 2)
        away = rng.uniform(70.0, 120.0) / float(real.examples.pixel_mm[0])
        place = around.middle + away * np.array([np.cos(angle), np.sin(angle)])
        place = np.clip(place, 10.0, real.examples.size[0] - 11.0)
        scale = pixel_mm / float(real.examples.pixel_mm[0]) * np.exp(rng.uniform(-0.3, 0.3))
        axes = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        axes[:, 0] *= rng.choice([-1.0, 1.0])
        matrix = np.column_stack([axes, place - axes @ centre])
        size = real.examples.size[0]
        image = real.examples.images[0, : size[0], : size[1]].astype(float)
        return _warp(image, matrix, "mirror"), _warp(around.whole_heart(rng)[: size[0], : size[1]], matrix, "mirror")


def some_widened(drawn: Cutouts, seed: int) -> Cutouts:
    """3CH images of the phantom, WIDE_SHARE of them with the aortic root up to twice as wide."""
    rng = np.random.default_rng(seed)
    each = (drawn.where([n]) for n in range(len(drawn)))
    return Cutouts.join(_widened(one, rng) if rng.random() < WIDE_SHARE else one for one in each)


def _widened(drawn: Cutouts, rng) -> Cutouts:
    """One image in which all moves away from a point in the aortic root, by a factor that falls with the distance."""
    examples, pixel = drawn.examples, float(drawn.examples.pixel_mm[0])
    root = examples.points[0, [LANDMARK_NAMES.index(name) for name in AORTIC]].mean(0)
    away = root - drawn.apex[0]
    centre = root + rng.uniform(0.0, 14.0) / pixel * away / np.linalg.norm(away)
    gain, width = rng.uniform(0.3, 1.0), rng.uniform(17.0, 28.0) / pixel

    def factor(reach):
        return 1.0 + gain * np.exp(-0.5 * (reach / width) ** 2)

    def moved(points):
        offset = points - centre
        return centre + offset * factor(np.linalg.norm(offset, axis=-1, keepdims=True))

    before = np.linspace(0.0, 2.0 * CANVAS, 4 * CANVAS)
    offset = np.stack(np.mgrid[:CANVAS, :CANVAS].astype(float), -1) - centre
    reach = np.linalg.norm(offset, axis=-1, keepdims=True)
    source = centre + offset * np.interp(reach, before * factor(before), before) / np.maximum(reach, 1e-6)
    image, cover = (
        map_coordinates(a[0].astype(float), source.transpose(2, 0, 1), order=1).round().astype(np.uint8)[None]
        for a in (examples.images, drawn.cover)
    )
    points = moved(examples.points).astype(np.float32)
    return Cutouts(replace(examples, images=image, points=points), moved(drawn.apex).astype(np.float32), cover)


@dataclass(frozen=True)
class Around:
    """The pixels of a real four-chamber frame as they lie to its LV, in mm.

    Attributes:
        height: (CANVAS, CANVAS) over the mitral line, towards the atrium, along the LV axis.
        side: from the LV axis towards the septum.
        distance: from the LV cavity, 0 within.
        septal: ``side`` of the septal mitral point.
        length: of the LV cavity, apex to mitral line.
        middle: (2,) row and column of the middle of the mitral line.
    """

    height: np.ndarray
    side: np.ndarray
    distance: np.ndarray
    septal: float
    length: float
    middle: np.ndarray

    @classmethod
    def of(cls, real: Cutouts) -> "Around":
        """Of the first of ``real``."""
        pixel = float(real.examples.pixel_mm[0])
        septal, free = real.examples.points[0, list(MITRAL)].astype(float)
        middle = (septal + free) / 2
        axis = middle - real.apex[0]
        length = np.linalg.norm(axis)
        axis /= length
        across = np.array([-axis[1], axis[0]])
        across *= np.sign(across @ (septal - free))
        offset = np.stack(np.mgrid[:CANVAS, :CANVAS], -1) - middle
        return cls(
            height=offset @ axis * pixel,
            side=offset @ across * pixel,
            distance=distance_transform_edt(real.cover[0] < 128) * pixel,
            septal=float((septal - middle) @ across * pixel),
            length=float(length * pixel),
            middle=middle,
        )

    def left_heart(self, wall: float, atrium: float) -> np.ndarray:
        """0..1: the LV with its wall (mm), and an ellipse over the mitral line of half height ``atrium`` (0: none)."""
        ventricle = _step(wall - self.distance, 3.0) * _step(2.0 - self.height, 3.0)
        if not atrium:
            return ventricle
        out = np.hypot(self.side / (1.35 * self.septal), (self.height - 0.9 * atrium) / atrium)
        return np.maximum(ventricle, _step((1.0 - out) * atrium, 4.0))

    def right_heart(self, rng) -> np.ndarray:
        """0..1: what lies beyond the septum and beyond the wall between the atria."""
        margin, lean = rng.uniform(0.0, 5.0), rng.uniform(-0.25, 0.25)
        wall = margin + (rng.uniform(7.0, 11.0) - margin) * np.clip(-self.height / 15.0, 0.0, 1.0)
        below = np.minimum(self.distance - wall, self.side + 4.0)
        above = self.side - self.septal - margin - lean * self.height
        return _step(np.where(self.height < 0, below, above), rng.uniform(1.5, 4.0))

    def whole_heart(self, rng) -> np.ndarray:
        """0..1: a rounded box about all four chambers."""
        top, bottom = rng.uniform(48.0, 60.0), -self.length - rng.uniform(10.0, 16.0)
        left, right = -self.septal - rng.uniform(12.0, 20.0), self.septal + rng.uniform(58.0, 72.0)
        up = (self.height - (top + bottom) / 2) / ((top - bottom) / 2)
        across = (self.side - (left + right) / 2) / ((right - left) / 2)
        out = (np.abs(up) ** 3 + np.abs(across) ** 3) ** (1 / 3)
        return _step((1.0 - out) * 60.0, rng.uniform(3.0, 10.0))


def _step(inside: np.ndarray, edge: float) -> np.ndarray:
    """0..1 where ``inside`` (mm) is positive, rising over ``edge``."""
    return np.clip(0.5 + inside / edge, 0.0, 1.0)


def _warp(image: np.ndarray, matrix: np.ndarray, mode: str = "constant") -> np.ndarray:
    """(CANVAS, CANVAS) of an image; ``matrix`` 2x3 tells where in it each pixel lies."""
    return affine_transform(image, matrix[:, :2], matrix[:, 2], (CANVAS, CANVAS), order=1, mode=mode)


def _blend(behind: np.ndarray, front: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.clip(behind + alpha * (front - behind), 0.0, 255.0).astype(np.uint8)


def _with_image(examples: Examples, image: np.ndarray) -> Examples:
    """One example with another image, black beyond its size."""
    rows, columns = examples.size[0]
    canvas = np.zeros((1, CANVAS, CANVAS), np.uint8)
    canvas[0, :rows, :columns] = image[:rows, :columns]
    return replace(examples, images=canvas)
