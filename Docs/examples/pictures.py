"""Pictures of a simulated heart with matplotlib."""

from pathlib import Path

import matplotlib
import numpy as np
from mechanics import KPA_PER_MMHG

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from cineheart.fem.mechanics.loading import Deformed
from cineheart.fem.mechanics.solid import SolidHeart

OUTWARD = np.array([(1, 2, 3), (0, 3, 2), (0, 1, 3), (0, 2, 1)])
LIGHT = np.array([-0.3, -0.8, 0.5])


def draw_half(heart: SolidHeart, displacement: np.ndarray, values: np.ndarray, title: str, path: Path) -> None:
    """The half of the deformed heart behind its long-axis cut through both ventricles, coloured by ``values`` (M,)."""
    view = _axes(heart)
    before, after = heart.mesh.p.T @ view, (heart.mesh.p.T + displacement) @ view
    tets = heart.mesh.t.T
    kept = before[tets].mean(1)[:, 1] > np.median(before[:, 1])
    faces, owners = _surface(tets[kept], np.flatnonzero(kept))
    corners = after[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal *= np.sign(np.einsum("fi,fi->f", normal, corners.mean(1) - after[tets[owners]].mean(1)))[:, None]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    low, high = np.percentile(values, [2, 98])
    norm = matplotlib.colors.Normalize(low, high)
    colours = plt.get_cmap("viridis")(norm(values[owners]))
    colours[:, :3] *= (0.65 + 0.35 * np.clip(normal @ LIGHT / np.linalg.norm(LIGHT), 0, 1))[:, None]
    figure = plt.figure(figsize=(5.2, 4.6), dpi=88)
    axes = figure.add_axes((-0.06, -0.1, 0.95, 1.15), projection="3d", proj_type="ortho")
    axes.add_collection3d(Poly3DCollection(corners, facecolors=colours, edgecolors=(0, 0, 0, 0.12), linewidths=0.3))
    middle, reach = (after.min(0) + after.max(0)) / 2, np.ptp(after, axis=0).max() / 2
    axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
    axes.set(zlim=(middle[2] - reach, middle[2] + reach))
    axes.set_box_aspect((1, 1, 1), zoom=1.3)
    axes.view_init(elev=12, azim=-90)
    axes.set_axis_off()
    scale = figure.add_axes((0.84, 0.2, 0.025, 0.6))
    figure.colorbar(matplotlib.cm.ScalarMappable(norm, "viridis"), cax=scale, extend="both").set_label(title)
    figure.savefig(path)
    plt.close(figure)


def _axes(heart: SolidHeart) -> np.ndarray:
    """(3, 3) columns: from RV to LV, across, from apex to base, right-handed."""
    p, base = heart.mesh.p.T, heart.mesh.facets[:, heart.mesh.boundaries["BASE"]].T
    on_base = p[np.unique(base)]
    up = np.linalg.svd(on_base - on_base.mean(0))[2][2]
    up *= np.sign((on_base.mean(0) - p.mean(0)) @ up)
    lv, rv = (
        p[np.unique(heart.mesh.facets[:, heart.mesh.boundaries[name]])].mean(0)
        if name in heart.mesh.boundaries
        else p.mean(0)
        for name in ("ENDO_LV", "ENDO_RV")
    )
    along = lv - rv if np.linalg.norm(lv - rv) > 1 else np.linalg.svd(up[None])[2][1]
    along = along - (along @ up) * up
    along /= np.linalg.norm(along)
    return np.stack([along, np.cross(up, along), up], axis=1)


def _surface(tets: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces (F, 3) that only one of the tets has, and the number of that tet."""
    faces = tets[:, OUTWARD].reshape(-1, 3)
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    alone = first[count == 1]
    return faces[alone], numbers[alone // 4]


def draw_steps(result: Deformed, path: Path) -> None:
    """Pressure over volume, and Newton's residuals of each load step."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4), dpi=100, layout="constrained")
    for name in result.steps[0].volume:
        pressures = [step.pressure.get(name, 0.0) / KPA_PER_MMHG for step in result.steps]
        left.plot([step.volume[name] for step in result.steps], pressures, "o-", label=name.replace("ENDO_", ""))
    left.set(xlabel="cavity volume, ml", ylabel="pressure, mmHg")
    left.legend()
    for step in result.steps[1:]:
        label = f"{step.pressure['ENDO_LV']:.2f} kPa" + (f", tension {step.tension:.0f} kPa" if step.tension else "")
        right.semilogy(step.residuals, "o-", label=label)
    right.set(xlabel="Newton iteration", ylabel="relative residual")
    right.legend(fontsize="small")
    figure.savefig(path)
    plt.close(figure)
