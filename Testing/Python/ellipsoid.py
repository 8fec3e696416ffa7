"""The ventricle of Problems 2 and 3 of Land et al. 2015 (doi 10.1098/rspa.2015.0641): half an ellipsoid, few tets.

Endocardium: semi-axes 7, 7, 17 mm; epicardium 10, 10, 20 mm; cut at z = 5 mm, apex down. Fibres turn from -90 degrees
on the epicardium to +90 on the endocardium.
"""

import numpy as np
from skfem import MeshTet, MeshTri

from cineheart.fem.mechanics.solid import SolidHeart

BASE_MM = 5.0


def place(depth, share, around):
    """(..., 3) mm; depth 0 endocardium to 1 epicardium, share 0 apex to 1 base, around in radians."""
    short, long = 7.0 + 3.0 * depth, 17.0 + 3.0 * depth
    angle = -np.pi + share * (np.pi - np.arccos(BASE_MM / long))
    x = short * np.sin(angle)
    return np.stack([x * np.cos(around), x * np.sin(around), long * np.cos(angle)], axis=-1)


def fibre_axes(depth, share, around):
    """(..., 3, 3) columns fibre, sheet (across the wall), normal."""
    step = 1e-4
    along, across = (
        place(*(value + step * (n == axis) for n, value in enumerate((depth, share, around))))
        - place(*(value - step * (n == axis) for n, value in enumerate((depth, share, around))))
        for axis in (1, 2)
    )
    along, across = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (along, across))
    angle = np.radians(90.0 - 180.0 * depth)[..., None]
    fibre = np.sin(angle) * along + np.cos(angle) * across
    sheet = np.cross(along, across)
    return np.stack([fibre, sheet, np.cross(fibre, sheet)], axis=-1)


def ellipsoid(rings: int = 2, layers: int = 1) -> SolidHeart:
    """Prisms over a triangulated disc, each cut into three tets."""
    disc = MeshTri.init_circle(rings)
    radius, around = np.linalg.norm(disc.p, axis=0), np.arctan2(disc.p[1], disc.p[0])
    radius[disc.boundary_nodes()] = 1.0
    depths = np.linspace(0.0, 1.0, layers + 1)
    nodes = np.concatenate([place(depth, radius, around) for depth in depths])
    low = np.concatenate([np.sort(disc.t, axis=0) + n * disc.p.shape[1] for n in range(layers)], axis=1)
    a, b, c = low
    d, e, f = low + disc.p.shape[1]
    tets = np.concatenate([[a, b, c, f], [a, b, e, f], [a, d, e, f]], axis=1)
    depth, share = (np.concatenate(v) for v in zip(*((np.full_like(radius, d), radius) for d in depths), strict=True))
    turn = np.tile(around, layers + 1)[tets]
    middle = np.arctan2(np.sin(turn).mean(0), np.cos(turn).mean(0))
    axes = fibre_axes(depth[tets].mean(0), share[tets].mean(0), middle)
    mesh = MeshTet(np.ascontiguousarray(nodes.T), np.ascontiguousarray(tets), sort_t=False)
    size, outer = disc.p.shape[1], mesh.boundary_facets()
    corner = mesh.facets[:, outer]
    on_base = (share[corner] > 1.0 - 1e-9).all(0)
    layer = corner // size
    boundaries = {
        "BASE": outer[on_base],
        "ENDO_LV": outer[(layer == 0).all(0) & ~on_base],
        "EPI": outer[(layer == layers).all(0) & ~on_base],
    }
    return SolidHeart(mesh.with_boundaries(boundaries), axes)
