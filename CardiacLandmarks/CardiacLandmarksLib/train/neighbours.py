"""Vessels near the valves of real hearts that the phantom lacks, painted into the training images of a scene.

In a 3CH image the right pulmonary artery lies in the notch between ascending aorta and left atrium, the outflow tract
of the right ventricle before the aorta, which goes straight on; in a 2CH image the left atrial appendage and the left
pulmonary artery tell which hinge is the anterior one. Places are those of anatomy atlases, with wide scatter.
"""

from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np

from CardiacLib.phantom.anatomy import HeartShape, view_direction
from CardiacLib.phantom.imaging import Scene
from CardiacLib.phantom.shapes import Place, capsule

SCATTER_MM = 3.0
"""Standard deviation of every end of a vessel, along each axis."""
EJECTING = 0.5
"""Part of the frames after end-diastole in which the aortic valve is open."""
NARROW = 0.5
"""Part of the hearts whose left atrium is flat from front to back, as it lies between aortic root and spine."""


@dataclass(frozen=True)
class Tube:
    """A round-ended vessel: two ends in the heart frame and the radius at each, mm."""

    start: tuple[float, float, float]
    stop: tuple[float, float, float]
    radius: float
    radius_stop: float

    def __call__(self, at: Place) -> np.ndarray:
        return capsule(at, self.start, self.stop, self.radius, self.radius_stop)


@dataclass(frozen=True)
class CrowdedScene(Scene):
    """A scene with more great vessels, which stay still.

    Attributes:
        tubes: these vessels.
        keeps_vessels: the great vessels belong to the heart: they stay where its surroundings are replaced.
    """

    tubes: tuple[Tube, ...] = ()
    keeps_vessels: bool = False

    def still_vessels(self, at: Place) -> np.ndarray:
        """Field of all great vessels away from the heart, at heart-frame points."""
        return np.minimum.reduce([super().still_vessels(at), *(tube(at) for tube in self.tubes)])


def crowded(scene: Scene, rng) -> CrowdedScene:
    """The scene with vessels drawn at random round its heart, frames with an open aortic valve, and flat atria."""
    flat = rng.uniform(0.5, 0.9, 2) if rng.random() < NARROW else np.ones(2)
    around = tuple(
        replace(a, ejecting=t > 0 and rng.random() < EJECTING, left_atrium=_flat(a.left_atrium, flat))
        for t, a in enumerate(scene.around)
    )
    known = {f.name: getattr(scene, f.name) for f in fields(scene)} | {"around": around}
    (_, _, z), (_, _, semi) = around[0].left_atrium
    tubes = tuple(_tubes(scene.shapes[0], z + semi, rng))
    return CrowdedScene(**known, tubes=tubes, keeps_vessels=scene.options.seed % 2 == 0)  # in half of the hearts


def _flat(atrium, factors: np.ndarray):
    centre, (across, deep, high) = atrium
    return centre, (float(across * factors[0]), float(deep * factors[1]), high)


def _tubes(ed: HeartShape, roof: float, rng) -> list[Tube]:
    """Vessels of one heart, each with a probability; ``roof`` is the height of the left atrium's."""
    forward = np.array([*view_direction("3ch"), 0.0])  # from the left atrium to the aorta
    right = np.array([forward[1], -forward[0], 0.0])
    up, left, back = np.array([0.0, 0.0, 1.0]), np.array([-1.0, 0.0, 0.0]), np.array([0.0, -1.0, 0.0])
    aorta, wide, base = np.array(ed.aortic_center), ed.aortic_radius, ed.base[0] * up
    reach = float(aorta @ forward)
    _, stop, _ = ed.outflow
    fork = np.array(stop) + np.array([-20.0, -6.0, 24.0])
    crossing = rng.uniform(-4.0, 14.0) * forward + (roof + rng.uniform(-4.0, 12.0)) * up
    front = (reach + wide + rng.uniform(10.0, 20.0)) * forward
    lean = rng.uniform(-0.1, 0.6)
    drawn = [
        # right pulmonary artery, behind the aorta and over the left atrium
        (0.85, [fork, crossing, crossing + 60.0 * right + rng.uniform(-15.0, 15.0) * up], rng.uniform(6.0, 12.0, 2)),
        # left pulmonary artery
        (0.7, [fork, fork + 18.0 * left + 55.0 * back + rng.uniform(-6.0, 12.0) * up], rng.uniform(6.0, 11.0, 2)),
        # left atrial appendage, over the anterior hinge of the 2CH view
        (0.7, [base + [-18.0, 16.0, 16.0], base + [-6.0, 42.0, rng.uniform(4.0, 16.0)]], rng.uniform(4.0, 10.0, 2)),
        # left upper pulmonary vein
        (0.6, [base + [-14.0, 0.0, 32.0], base + [-50.0, -10.0, rng.uniform(35.0, 60.0)]], rng.uniform(4.0, 8.0, 2)),
        # ascending aorta in the 3CH plane
        (
            0.7,
            [aorta + [4.0, 7.0, 18.0], aorta + 18.0 * up + rng.uniform(50.0, 90.0) * _unit(up + lean * forward)],
            wide + rng.uniform(0.0, 5.0, 2),
        ),
        # outflow tract of the right ventricle, before the aorta
        (
            0.6,
            [front + base - 15.0 * up, front + base + rng.uniform(8.0, 35.0) * up + rng.uniform(-8.0, 4.0) * forward],
            rng.uniform(7.0, 12.0, 2),
        ),
    ]
    found = []
    for chance, places, radii in drawn:
        places = [place + rng.normal(0.0, SCATTER_MM, 3) for place in places]
        if rng.random() < chance:
            found += [Tube(tuple(a), tuple(b), float(radii[0]), float(radii[1])) for a, b in pairwise(places)]
    return found


def _unit(direction: np.ndarray) -> np.ndarray:
    return direction / np.linalg.norm(direction)
