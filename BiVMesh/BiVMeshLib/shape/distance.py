"""Signed distances from the surface of a field on an isotropic grid."""

import numpy as np

FAR = np.float32(50.0)
"""mm. Where nobody asks how far."""
EDGE = 4
"""Voxels: what reads a surface from a distance map reads no more than so many on either side of it."""
MOST_SHORT = 120
"""Voxels up to which squares and their sums fit into 16 bits."""


def distance(values: np.ndarray, spacing: float, reach: float | None = None) -> np.ndarray:
    """Signed distance to the zero level of ``values`` on an isotropic grid, float32, negative inside.

    Away from the surface the Euclidean distance transform between voxels; within two voxels of it the
    first-order distance f / |grad f|, which keeps the level's sub-voxel place.

    Args:
        reach: mm on either side up to which, and EDGE voxels (from middle to middle) more, the distance is asked for;
            FAR beyond.
    """
    inside = values < 0
    if not inside.any() or inside.all():
        return np.where(inside, -FAR, FAR).astype(np.float32)
    if reach is None:
        return _joined(values, spacing, voxels_from(inside), _within(inside))
    most = int(np.ceil(reach / spacing)) + EDGE
    found, box = np.full(values.shape, FAR, np.float32), around(inside, most)
    near = inside[box]
    outwards, inwards = (_squares(mask, most) for mask in (near, ~near))
    joined = _joined(values[box], spacing, np.sqrt(outwards, dtype=np.float32), np.sqrt(inwards, dtype=np.float32))
    beyond = np.where(near, inwards, outwards) > most**2
    found[box] = np.where(beyond, np.where(near, -FAR, FAR), joined)
    return found


def _joined(values: np.ndarray, spacing: float, outwards: np.ndarray, inwards: np.ndarray) -> np.ndarray:
    """mm, from voxels to the nearest one inside and outside: half a voxel less, and the level's place near to it."""
    out = np.where(values < 0, -inwards, outwards)
    far = (out - 0.5 * np.sign(out)) * np.float32(spacing)
    z, y, x = np.nonzero(np.abs(out) <= 2.0)
    slope = np.zeros(len(z), np.float32)
    for axis, index in enumerate((z, y, x)):
        low, high = [z, y, x], [z, y, x]
        low[axis], high[axis] = np.maximum(index - 1, 0), np.minimum(index + 1, values.shape[axis] - 1)
        step = (values[tuple(high)] - values[tuple(low)]) / ((high[axis] - low[axis]) * spacing)
        slope += step**2
    near = values[z, y, x] / np.maximum(np.sqrt(slope), 0.2)
    guess = far[z, y, x]
    far[z, y, x] = np.clip(near, guess - spacing, guess + spacing)
    return far


def around(mask: np.ndarray, margin: int = 1) -> tuple[slice, ...]:
    """The box of a mask with so many voxels round it; with one the nearest voxel outside the mask is never farther."""
    found = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(tuple(n for n in range(3) if n != axis)))
        found.append(slice(max(int(hit[0]) - margin, 0), int(hit[-1]) + 1 + margin))
    return tuple(found)


def voxels_from(mask: np.ndarray) -> np.ndarray:
    """float32 distance in voxels of every voxel outside ``mask`` to the nearest one in it; not meaningful inside.

    Maurer's algorithm as in ITK: a third of the time of the distance transform in scipy, and on all cores.
    """
    import SimpleITK

    image = SimpleITK.GetImageFromArray(mask.view(np.uint8))
    return SimpleITK.GetArrayFromImage(
        SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=False)
    )


def _within(inside: np.ndarray) -> np.ndarray:
    """float32 distance in voxels of every voxel ``inside`` to the nearest one that is not; 0 elsewhere."""
    found, box = np.zeros(inside.shape, np.float32), around(inside)
    found[box] = np.where(inside[box], voxels_from(~inside[box]), 0.0)
    return found


def _squares(mask: np.ndarray, most: int) -> np.ndarray:
    """Squared distance in voxels of every voxel to the nearest one in ``mask``, more than ``most`` squared beyond that.

    The nearest parabola along one axis after the other, found by shifts: for some ten voxels a fifth of the time of
    Maurer's algorithm.
    """
    out = np.where(mask, 0, most**2 + 1).astype(np.int16 if most <= MOST_SHORT else np.int32)
    lift = np.empty_like(out)
    for axis in range(3):
        start = out.copy()
        for step in range(1, min(most, out.shape[axis] - 1) + 1):
            low, high = (tuple(part if n == axis else slice(None) for n in range(3)) for part in _parts(step))
            np.add(start, out.dtype.type(step**2), out=lift)
            np.minimum(out[high], lift[low], out=out[high])
            np.minimum(out[low], lift[high], out=out[low])
    return out


def _parts(step: int) -> tuple[slice, slice]:
    """An axis without its last ``step`` voxels, and without its first."""
    return slice(None, -step), slice(step, None)
