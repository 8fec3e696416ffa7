"""Laplace, elasticity, filling, contraction and unloaded shape of a heart's mesh with scikit-fem, with pictures.

    python Docs/examples/simulate.py -o simulation [--mesh DIR] [--steps N] [--contract N] [--unload] [--linear]

``--mesh`` is a folder that ``cineheart mesh LABELS --format msh -o DIR`` has written; choose a coarse
``--edge-length``, because quadratic elements have some six times as many nodes. Without it a coarse mesh of the
synthetic heart is made first, with walls thick enough for it. Needs scikit-fem, meshio and matplotlib.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import meshio
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "CardiacSeg"), str(ROOT / "BiVMesh"), str(Path(__file__).parent)]

from mechanics import KPA_PER_MMHG, elasticity, laplace, lv_wall_mm, read_heart  # noqa: E402

from cineheart.fem.mechanics.loading import Deformed, contraction, deform, filling  # noqa: E402
from cineheart.fem.mechanics.materials import Guccione  # noqa: E402
from cineheart.fem.mechanics.nodal import NodalSolid  # noqa: E402
from cineheart.fem.mechanics.solid import Load, Solid, SolidHeart  # noqa: E402
from cineheart.fem.mechanics.unload import Unloaded, UnloadOptions, unload  # noqa: E402

FILLED = {"ENDO_LV": 1.0, "ENDO_RV": 0.3}
"""kPa: 7.5 and 2.3 mmHg, as at the end of a healthy diastole."""
EJECTED = {"ENDO_LV": 15.0, "ENDO_RV": 4.0}
"""kPa at end-systole: LV as in Problem 3 of Land et al. 2015; RV 30 mmHg."""
TENSION = 60.0
"""kPa along the fibre at end-systole, as there."""
STIFF_VOLUME = 1000.0
"""kPa, penalty on J of a contracting muscle, whose pressure is ten times that of a filled one."""


def phantom_mesh(folder: Path) -> None:
    """Write ``mesh.msh`` and ``fields.msh`` of the synthetic heart at end-diastole."""
    from BiVMeshLib import MeshOptions, build_mesh
    from BiVMeshLib.exporters import export
    from CardiacLib.phantom import PhantomOptions
    from CardiacLib.phantom.study import measured_labels

    labels, _ = measured_labels(PhantomOptions(slice_spacing_mm=6.0))
    thick = {"rv_wall_mm": 8.0, "min_lv_wall_mm": 8.0, "min_septum_mm": 9.0}
    # The lattice as it is: collapsing edges and climbing to the limits of shape ends with three times as many tets.
    coarse = MeshOptions(edge_length_mm=7.0, grid_mm=3.0, refinements=0, optimise=False, **thick)
    folder.mkdir(parents=True, exist_ok=True)
    export(build_mesh(labels.labels[0], labels.ijk_to_lps, coarse), folder, ("msh",))


def in_wall(heart: SolidHeart) -> float:
    """Median angle in degrees between the fibres and the layers of equal depth, of the Laplace potential of EPI."""
    patches = [name for name in ("ENDO_LV", "ENDO_RV") if name in heart.mesh.boundaries]
    depth = laplace(heart.mesh, "EPI", patches)
    corners, t = heart.mesh.p.T, heart.mesh.t.T
    edges = corners[t[:, 1:]] - corners[t[:, :1]]
    gradient = np.linalg.solve(edges, (depth[t[:, 1:]] - depth[t[:, :1]])[..., None])[..., 0]
    length = np.linalg.norm(gradient, axis=1)
    across = np.abs(np.einsum("mi,mi->m", heart.axes[:, :, 0], gradient)) / np.maximum(length, 1e-12)
    return float(np.degrees(np.arcsin(np.median(across[length > 0.1 * np.median(length)]))))


def klotz_ml(unloaded_ml: float, pressure_kpa: float) -> float:
    """Volume at a pressure that the single-beat rule of Klotz et al. 2006 (doi 10.1152/ajpheart.01240.2005) goes with
    an unloaded volume: V0 = V (0.6 - 0.006 P), P in mmHg."""
    return unloaded_ml / (0.6 - 0.006 * pressure_kpa / KPA_PER_MMHG)


def draw(heart: SolidHeart, result: Deformed, folder: Path, prefix: str = "") -> None:
    """``displacement.png``, ``fibre_stress.png`` (half the heart, deformed) and ``steps.png`` (curves)."""
    from pictures import draw_half, draw_steps

    folder.mkdir(parents=True, exist_ok=True)
    moved, stress = result.displacement, result.fibre_stress
    length = np.linalg.norm(moved, axis=1)[heart.mesh.t].mean(0)
    draw_half(heart, moved, length, "displacement, mm", folder / f"{prefix}displacement.png")
    draw_half(heart, moved, stress, "stress along the fibre, kPa", folder / f"{prefix}fibre_stress.png")
    draw_steps(result, folder / f"{prefix}steps.png")


def write(heart: SolidHeart, result: Deformed, path: Path) -> None:
    """Displacement, J, stress and stretch of the fibre for ParaView."""
    cells = {"fibre_stress_kPa": result.fibre_stress, "fibre_stretch": result.fibre_stretch, "J": result.jacobian}
    points = {"displacement_mm": result.displacement}
    tets = [("tetra", heart.mesh.t.T)]
    meshio.Mesh(heart.mesh.p.T, tets, points, {name: [values] for name, values in cells.items()}).write(path)


def fill(heart: SolidHeart, steps: int, solid, folder: Path) -> Deformed:
    """Passive filling: energies and forces in balance, beside Klotz's rule."""
    pressures = {name: FILLED[name] for name in heart.endocardia}
    start = time.process_time()
    result = deform(heart, filling(pressures, steps), Guccione(), solid, say=report)
    last, first = result.steps[-1], result.steps[0]
    title = f"Inflation, {time.process_time() - start:.0f} s of processor time"
    balance(title, result.load, result.reaction, last.work, last.energy)
    klotz = klotz_ml(first.volume["ENDO_LV"], pressures["ENDO_LV"])
    print(f"  J from {result.jacobian.min():.3f} to {result.jacobian.max():.3f}")
    print(f"  LV {first.volume['ENDO_LV']:.0f} to {last.volume['ENDO_LV']:.0f} ml; Klotz's rule: {klotz:.0f} ml")
    draw(heart, result, folder)
    write(heart, result, folder / "inflation.vtu")
    return result


def contract(heart: SolidHeart, steps: int, solid, folder: Path) -> Deformed:
    """Filling, then contraction along the fibres against the pressure of end-systole."""
    filled = Load({name: FILLED[name] for name in heart.endocardia})
    ejected = Load({name: EJECTED[name] for name in heart.endocardia}, TENSION)
    start = time.process_time()
    loads = [*filling(filled.pressure, 2), *contraction(filled, ejected, steps)]
    result = deform(heart, loads, Guccione(kappa=STIFF_VOLUME), solid, say=report)
    first, full, last = (result.steps[n].volume for n in (0, 2, -1))
    print(f"Contraction, {time.process_time() - start:.0f} s of processor time")
    for name in heart.endocardia:
        print(f"  {name} {first[name]:.0f}, filled {full[name]:.0f}, end-systole {last[name]:.0f} ml")
    before, after = lv_wall_mm(heart), lv_wall_mm(heart, result.displacement)
    volumes = np.abs(np.linalg.det((heart.mesh.p[:, heart.mesh.t[1:]] - heart.mesh.p[:, heart.mesh.t[:1]]).T))
    whole = float(result.jacobian @ volumes / volumes.sum())
    low, high = np.percentile(result.jacobian, [1, 99])
    print(f"  LV wall {before:.1f} to {after:.1f} mm (median); volume of the muscle {100 * (whole - 1):+.2f} %")
    print(f"  J of the tets {low:.3f} to {high:.3f} (1 and 99 %); fibres at {np.median(result.fibre_stretch):.2f}")
    draw(heart, result, folder, "contraction_")
    write(heart, result, folder / "contraction.vtu")
    return result


def unloaded(heart: SolidHeart, solid) -> Unloaded:
    """The shape that the filling pressures inflate to the mesh that was read."""
    start = time.process_time()
    pressures = {name: FILLED[name] for name in heart.endocardia}
    found = unload(heart, pressures, UnloadOptions(solid=solid))
    errors = "  ".join(f"{error:.3f}" for error in found.errors_mm)
    print(f"Unloaded, {time.process_time() - start:.0f} s of processor time; mm from the mesh that was read: {errors}")
    for name in heart.endocardia:
        print(f"  {name} {found.unloaded_ml[name]:.1f} ml without load, {found.inflated_ml[name]:.1f} ml inflated")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="for results.json, VTU files, pictures")
    parser.add_argument("--mesh", type=Path, help="folder with mesh.msh and fields.msh")
    parser.add_argument("--steps", type=int, default=4, help="load steps of the filling")
    parser.add_argument("--contract", type=int, metavar="N", help="contraction in N steps too")
    parser.add_argument("--unload", action="store_true", help="the unloaded shape too")
    parser.add_argument(
        "--linear", action="store_true", help="linear displacements, volume averaged at the nodes: faster"
    )
    arguments = parser.parse_args()
    folder = arguments.mesh or arguments.output / "mesh"
    if arguments.mesh is None:
        phantom_mesh(folder)
    heart = read_heart(folder)
    print(f"{heart.mesh.nelements} tets, {heart.mesh.nvertices} nodes")
    print(f"Laplace: fibres lie {in_wall(heart):.1f} degrees (median) from the layers of equal depth")

    small = elasticity(heart.mesh, "ENDO_LV", 0.1)
    balance("Elasticity, 0.1 kPa in the LV", small.load, small.reaction, small.work, small.energy)

    solid = NodalSolid if arguments.linear else Solid
    arguments.output.mkdir(parents=True, exist_ok=True)
    found = {"inflation": [vars(s) for s in fill(heart, arguments.steps, solid, arguments.output).steps]}
    if arguments.contract:
        found["contraction"] = [vars(s) for s in contract(heart, arguments.contract, solid, arguments.output).steps]
    if arguments.unload:
        shape = unloaded(heart, solid)
        found["unloaded"] = {name: getattr(shape, name) for name in ("errors_mm", "unloaded_ml", "inflated_ml")}
    (arguments.output / "results.json").write_text(json.dumps(found, indent=2))


def balance(title: str, load: np.ndarray, reaction: np.ndarray, work: float, energy: float) -> None:
    """Forces and energies that must agree."""
    print(f"{title}: pressure's resultant {np.round(load, 2)} mN, reaction of the base {np.round(reaction, 2)} mN")
    print(f"  work {work / 1000:.4f} mJ, stored energy {energy / 1000:.4f} mJ")


def report(step) -> None:
    """One line per load step."""
    residuals = "  ".join(f"{r:.0e}" for r in step.residuals)
    volumes = ", ".join(f"{name} {value:.1f} ml" for name, value in step.volume.items())
    load = f"{step.pressure['ENDO_LV']:.2f} kPa, tension {step.tension:.0f} kPa"
    print(f"  {load}: {volumes}; residuals {residuals}", flush=True)


if __name__ == "__main__":
    main()
