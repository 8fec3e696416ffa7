"""Aortic roots of 3CH images as real hearts have them: wider, turned away from the mitral valve, with blood shot in."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import map_coordinates

from CardiacLib.types.landmarks import LANDMARK_NAMES

from .clutter import rough
from .examples import CANVAS, Cutouts

AORTIC = tuple(LANDMARK_NAMES.index(name) for name in ("aortic septal", "aortic free wall"))
MITRAL = tuple(LANDMARK_NAMES.index(name) for name in ("mitral septal 3CH", "mitral free wall 3CH"))
WIDE_SHARE = 0.6
"""Part of the 3CH images whose aortic root is widened: the phantom's is narrower than that of many patients."""
TURNED_SHARE = 0.8
"""Part of the 3CH images whose aortic root is turned: the phantom's valves lie in one plane, real ones at an angle."""
TURN_DEG = (-8.0, 60.0)
"""By how much; a positive turn brings the septal hinge towards the apex."""
RAISED_SHARE = 0.5
"""Part of the 3CH images whose aortic root is raised: real ones stand on an outflow tract that narrows upwards."""
WALLED_SHARE = 0.75
"""Part of the 3CH images in which muscle goes on beyond the septal hinge, between aorta and right outflow tract."""
ROUNDS = 12
"""Steps in which it is found where a raised place was: each more than halves what is missing."""


def some_reshaped(drawn: Cutouts, seed: int) -> Cutouts:
    """3CH images of the phantom with roots reshaped at random (:func:`reshaped`)."""
    rng = np.random.default_rng(seed)
    return Cutouts.join(reshaped(drawn.where([n]), rng) for n in range(len(drawn)))


def reshaped(drawn: Cutouts, rng) -> Cutouts:
    """One 3CH image, its aortic root turned, raised, widened and walled in, each or not."""
    changes = ((turned, TURNED_SHARE), (raised, RAISED_SHARE), (widened, WIDE_SHARE), (walled, WALLED_SHARE))
    for change, share in changes:
        if rng.random() < share:
            drawn = change(drawn, rng)
    return drawn


def widened(drawn: Cutouts, rng) -> Cutouts:
    """One image in which all moves away from a point in the aortic root, by a factor that falls with the distance."""
    pixel = float(drawn.examples.pixel_mm[0])
    root = drawn.examples.points[0, list(AORTIC)].mean(0)
    away = root - drawn.apex[0]
    centre = root + rng.uniform(0.0, 14.0) / pixel * away / np.linalg.norm(away)
    gain, width = rng.uniform(0.3, 1.0), rng.uniform(17.0, 28.0) / pixel
    before = np.linspace(0.0, 2.0 * CANVAS, 4 * CANVAS)

    def factor(reach):
        return 1.0 + gain * np.exp(-0.5 * (reach / width) ** 2)

    def moved(points):
        offset = points - centre
        return centre + offset * factor(np.linalg.norm(offset, axis=-1, keepdims=True))

    def source(places):
        offset = places - centre
        reach = np.linalg.norm(offset, axis=-1, keepdims=True)
        return centre + offset * np.interp(reach, before * factor(before), before) / np.maximum(reach, 1e-6)

    return _deformed(drawn, moved, source)


def turned(drawn: Cutouts, rng) -> Cutouts:
    """One image that turns about a point between root and mitral valve, the less, the farther away.

    A turn by an angle that depends on the distance alone is undone by the opposite one.
    """
    points, pixel = drawn.examples.points[0], float(drawn.examples.pixel_mm[0])
    root, hinge = points[list(AORTIC)].mean(0), points[MITRAL[0]]
    centre = root + rng.uniform(0.0, 1.2) * (hinge - root)
    to_apex, arm = drawn.apex[0] - centre, points[AORTIC[0]] - centre
    way = np.sign(arm[0] * to_apex[1] - arm[1] * to_apex[0])  # which turn brings the septal hinge to the apex
    angle, width = way * np.deg2rad(rng.uniform(*TURN_DEG)), rng.uniform(16.0, 50.0) / pixel

    def turn(places, sign):
        offset = places - centre
        theta = sign * angle * np.exp(-0.5 * (offset**2).sum(-1) / width**2)
        c, s = np.cos(theta), np.sin(theta)
        rows, columns = offset[..., 0], offset[..., 1]
        return centre + np.stack([c * rows - s * columns, s * rows + c * columns], -1)

    return _deformed(drawn, lambda places: turn(places, 1.0), lambda places: turn(places, -1.0))


def raised(drawn: Cutouts, rng) -> Cutouts:
    """One image whose aortic root goes up the aorta, and what lies round it with it, the less, the farther away."""
    points, pixel = drawn.examples.points[0], float(drawn.examples.pixel_mm[0])
    septal, free = points[list(AORTIC)].astype(float)
    centre, along = septal + rng.uniform(-0.1, 0.6) * (free - septal), _along(septal, free, drawn.apex[0])
    step, width = rng.uniform(2.0, 13.0) / pixel * along, rng.uniform(13.0, 20.0) / pixel

    def offset(places):
        return step * np.exp(-0.5 * ((places - centre) ** 2).sum(-1, keepdims=True) / width**2)

    def source(places):
        found = places
        for _ in range(ROUNDS):
            found = places - offset(found)
        return found

    return _deformed(drawn, lambda places: places + offset(places), source)


def _deformed(drawn: Cutouts, moved: Callable, source: Callable) -> Cutouts:
    """One image deformed; ``moved`` takes places (..., 2) of the image to where they come to lie, ``source`` back."""
    examples = drawn.examples
    where = source(np.stack(np.mgrid[:CANVAS, :CANVAS].astype(float), -1)).transpose(2, 0, 1)
    image, cover = (
        map_coordinates(a[0].astype(float), where, order=1).round().astype(np.uint8)[None]
        for a in (examples.images, drawn.cover)
    )
    points = moved(examples.points).astype(np.float32)
    return Cutouts(replace(examples, images=image, points=points), moved(drawn.apex).astype(np.float32), cover)


def walled(drawn: Cutouts, rng) -> Cutouts:
    """One image with what lies round a real root: muscle and the right outflow tract before it, the septum's bulge
    below, and the right pulmonary artery in the notch behind it; each of them drawn at random. No point moves."""
    examples, pixel = drawn.examples, float(drawn.examples.pixel_mm[0])
    image, root = examples.images[0].astype(float), _Root.of(examples.points[0], drawn.apex[0], pixel)
    inside = drawn.cover[0] > 128
    if not inside.any():
        return drawn
    blood, muscle = np.percentile(image[inside], 85), root.muscle(image)
    out, side = root.out, root.side
    paint = _Paint(image, rough(image.shape, rng.uniform(1.0, 4.0) / pixel, rng), rng)
    if rng.random() < 0.8:
        length, bulge = rng.uniform(14.0, 40.0), rng.uniform(0.0, 6.0)
        up = np.clip(out / length, 0.0, 1.0)
        inner = -bulge * np.sin(np.pi * np.clip(out / rng.uniform(18.0, 30.0), 0.0, 1.0))  # sinus of the aorta
        thick = rng.uniform(4.0, 11.0) * (1.0 - up) + rng.uniform(1.0, 5.0) * up
        tall, wide = rng.uniform(14.0, 30.0), rng.uniform(5.0, 11.0)
        middle = rng.uniform(-12.0, 18.0), float(-bulge - thick.mean() - wide)
        if rng.random() < 0.8:
            tract = (1.0 - np.hypot((out - middle[0]) / tall, (side - middle[1]) / wide)) * wide
            paint(tract + rng.uniform(1.0, 4.0), muscle)
            paint(tract, blood * rng.uniform(0.8, 1.15))
        beyond = np.minimum(inner - side, side - inner + thick)
        paint(np.minimum(beyond, np.minimum(out + rng.uniform(0.0, 6.0), length - out)), muscle)
    if rng.random() < 0.6:
        down, long, high = rng.uniform(9.0, 22.0), rng.uniform(8.0, 15.0), rng.uniform(4.0, 9.0)
        bulge = (1.0 - np.hypot((root.down - down) / long, (root.inwards + 0.3 * root.down) / high)) * high
        paint(np.minimum(bulge, root.down - 3.0), muscle)  # ends below the hinge
    if rng.random() < 0.6:
        size = rng.uniform(5.0, 11.0, 2)
        place = rng.uniform(40.0, 66.0), root.width + rng.uniform(-10.0, 6.0)
        vessel = (1.0 - np.hypot((out - place[0]) / size[0], (side - place[1]) / size[1])) * size.min()
        paint(vessel + rng.uniform(1.0, 4.0), muscle * rng.uniform(0.5, 1.5))
        paint(vessel, blood * rng.uniform(0.7, 1.2))
    rows, columns = examples.size[0]
    image[rows:], image[:, columns:] = 0.0, 0.0
    return replace(drawn, examples=replace(examples, images=np.clip(image, 0, 255).round().astype(np.uint8)[None]))


class _Paint:
    """Blends tissue with a grain into an image, where a depth in mm is positive."""

    def __init__(self, image: np.ndarray, grain: np.ndarray, rng):
        self.image, self.grain, self.rng = image, grain, rng

    def __call__(self, depth: np.ndarray, signal: float) -> None:
        cover = np.clip(0.5 + depth / self.rng.uniform(1.0, 3.0), 0.0, 1.0)
        self.image += cover * (signal * (1.0 + self.rng.uniform(0.0, 0.08) * self.grain) - self.image)


@dataclass(frozen=True)
class _Root:
    """The pixels of a 3CH image as they lie to the septal aortic hinge, in mm.

    Attributes:
        out: up the aorta, upright on the line of the hinges.
        side: along that line, towards the other hinge.
        down: towards the LV's apex.
        inwards: upright on that, from the septum into the LV.
        width: between the hinges.
    """

    out: np.ndarray
    side: np.ndarray
    down: np.ndarray
    inwards: np.ndarray
    width: float

    @classmethod
    def of(cls, points: np.ndarray, apex: np.ndarray, pixel_mm: float, shape=(CANVAS, CANVAS)) -> "_Root":
        """Of points (10, 2) and an apex (2,) in pixels of an image of this shape."""
        septal, free = points[list(AORTIC)].astype(float)
        along = _along(septal, free, apex)
        width = np.linalg.norm(free - septal)
        # Parallel to the LV axis, which begins in the middle between the septal hinge and the mitral free wall.
        axis = apex - (septal + points[MITRAL[1]]) / 2
        axis = axis / np.linalg.norm(axis)
        normal = np.array([-axis[1], axis[0]])
        normal *= np.sign(normal @ (points[MITRAL[1]] - septal))
        offset = (np.stack(np.mgrid[: shape[0], : shape[1]].astype(float), -1) - septal) * pixel_mm
        places = (offset @ way for way in (along, (free - septal) / width, axis, normal))
        return cls(*places, float(width * pixel_mm))

    def muscle(self, image: np.ndarray) -> float:
        """Median signal of the septum, 1 to 2 cm below the hinge."""
        septum = (np.abs(self.down - 15.0) < 5.0) & (self.inwards < -1.0) & (self.inwards > -6.0)
        return float(np.median(image[septum])) if septum.any() else float(np.median(image))


def _along(septal: np.ndarray, free: np.ndarray, apex: np.ndarray) -> np.ndarray:
    """Unit direction (2,) up the aorta: upright on the line of its hinges, away from the apex."""
    across = free - septal
    along = np.array([-across[1], across[0]]) / np.linalg.norm(across)
    return along * np.sign(along @ ((septal + free) / 2 - apex))


def ejecting(image: np.ndarray, points: np.ndarray, apex: np.ndarray, pixel_mm: float, rng) -> np.ndarray:
    """A 3CH image of systole: turbulent blood in the aortic root, leaflets against its wall; each in most images.

    Args:
        image: (H, W), any scale.
        points: (10, 2) row and column.
        apex: (2,) of the LV.
        pixel_mm: side of a pixel.
        rng: numpy random generator.
    """
    root = _Root.of(points, apex, pixel_mm, image.shape)
    out, side, width = root.out, root.side, root.width
    made = image.astype(float)
    if rng.random() < 0.7:
        high, wide = rng.uniform(0.0, 30.0), width * rng.uniform(0.5, 0.9)
        far = np.hypot((out - high) / rng.uniform(12.0, 35.0), (side - width / 2) / wide)
        grain = rough(image.shape, rng.uniform(1.0, 3.5) / pixel_mm, rng)
        change = rng.uniform(-0.4, 0.15) + rng.uniform(0.05, 0.45) * grain
        made *= np.exp(np.clip(3.0 * (1.0 - far), 0.0, 1.0) * change)
    if rng.random() < 0.6:
        length, thick = rng.uniform(7.0, 15.0), rng.uniform(0.5, 1.2)
        for place, inwards in ((0.0, 1.0), (width, -1.0)):
            lean = inwards * rng.uniform(0.0, 0.35)
            line = np.exp(-0.5 * ((side - place - lean * out) / thick) ** 2)
            made *= 1.0 - rng.uniform(0.1, 0.6) * line * np.clip(0.5 + out, 0.0, 1.0) * np.clip(length - out, 0.0, 1.0)
    return made
