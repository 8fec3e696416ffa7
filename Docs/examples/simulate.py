"""Laplace, elasticity and passive inflation of a heart's mesh with scikit-fem, with pictures.

    python Docs/examples/simulate.py -o simulation [--mesh DIR] [--steps N] [--linear]

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

from mechanics import KPA_PER_MMHG, Guccione, Heart, elasticity, inflate, laplace, read_heart  # noqa: E402
from skfem import ElementTetP1, ElementTetP2  # noqa: E402

PRESSURES = {"ENDO_LV": 1.0, "ENDO_RV": 0.3}
"""kPa: 7.5 and 2.3 mmHg, as at the end of a healthy diastole."""


def phantom_mesh(folder: Path) -> None:
    """Write ``mesh.msh`` and ``fields.msh`` of the synthetic heart at end-diastole."""
    from BiVMeshLib import MeshOptions, build_mesh
    from BiVMeshLib.exporters import export
    from CardiacLib.phantom import PhantomOptions
    from CardiacLib.phantom.study import measured_labels

    labels, _ = measured_labels(PhantomOptions(slice_spacing_mm=6.0))
    thick = {"rv_wall_mm": 8.0, "min_lv_wall_mm": 8.0, "min_septum_mm": 9.0}
    coarse = MeshOptions(edge_length_mm=8.0, grid_mm=2.5, min_scaled_jacobian=0.25, min_dihedral_deg=15.0, **thick)
    folder.mkdir(parents=True, exist_ok=True)
    export(build_mesh(labels.labels[0], labels.ijk_to_lps, coarse), folder, ("msh",))


def in_wall(heart: Heart) -> float:
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


def draw(heart: Heart, result, folder: Path) -> None:
    """``displacement.png``, ``fibre_stress.png`` (half the heart, deformed) and ``inflation.png`` (curves)."""
    from pictures import draw_half, draw_inflation

    length = np.linalg.norm(result.displacement, axis=1)
    shown = length[heart.mesh.t].mean(0)
    draw_half(heart, result.displacement, shown, "displacement, mm", folder / "displacement.png")
    draw_half(
        heart, result.displacement, result.fibre_stress, "stress along the fibre, kPa", folder / "fibre_stress.png"
    )
    draw_inflation(result, folder / "inflation.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="for results.json, inflation.vtu, pictures")
    parser.add_argument("--mesh", type=Path, help="folder with mesh.msh and fields.msh")
    parser.add_argument("--steps", type=int, default=4, help="load steps of the inflation")
    parser.add_argument("--linear", action="store_true", help="linear displacements, which lock: for comparison")
    arguments = parser.parse_args()
    folder = arguments.mesh or arguments.output / "mesh"
    if arguments.mesh is None:
        phantom_mesh(folder)
    heart = read_heart(folder)
    print(f"{heart.mesh.nelements} tets, {heart.mesh.nvertices} nodes")
    print(f"Laplace: fibres lie {in_wall(heart):.1f} degrees (median) from the layers of equal depth")

    small = elasticity(heart.mesh, "ENDO_LV", 0.1)
    balance("Elasticity, 0.1 kPa in the LV", small.load, small.reaction, small.work, small.energy)

    pressures = {name: value for name, value in PRESSURES.items() if name in heart.mesh.boundaries}
    start = time.process_time()
    element = ElementTetP1() if arguments.linear else ElementTetP2()
    result = inflate(heart, pressures, arguments.steps, Guccione(), element, report)
    last, first = result.steps[-1], result.steps[0]
    balance(
        f"Inflation, {time.process_time() - start:.0f} s of processor time",
        result.load,
        result.reaction,
        last.work,
        last.energy,
    )
    klotz = klotz_ml(first.volume["ENDO_LV"], pressures["ENDO_LV"])
    print(f"  J from {result.jacobian.min():.3f} to {result.jacobian.max():.3f}")
    print(f"  LV {first.volume['ENDO_LV']:.0f} to {last.volume['ENDO_LV']:.0f} ml; Klotz's rule: {klotz:.0f} ml")
    arguments.output.mkdir(parents=True, exist_ok=True)
    draw(heart, result, arguments.output)
    steps = [vars(step) for step in result.steps]
    (arguments.output / "results.json").write_text(json.dumps({"klotz_ml": klotz, "steps": steps}, indent=2))
    tets = [("tetra", heart.mesh.t.T)]
    cells = {"fibre_stress_kPa": [result.fibre_stress], "J": [result.jacobian]}
    shown = meshio.Mesh(heart.mesh.p.T, tets, {"displacement_mm": result.displacement}, cells)
    shown.write(arguments.output / "inflation.vtu")


def balance(title: str, load: np.ndarray, reaction: np.ndarray, work: float, energy: float) -> None:
    """Forces and energies that must agree."""
    print(f"{title}: pressure's resultant {np.round(load, 2)} mN, reaction of the base {np.round(reaction, 2)} mN")
    print(f"  work {work / 1000:.4f} mJ, stored energy {energy / 1000:.4f} mJ")


def report(step) -> None:
    """One line per load step."""
    residuals = "  ".join(f"{r:.0e}" for r in step.residuals)
    volumes = ", ".join(f"{name} {value:.1f} ml" for name, value in step.volume.items())
    print(f"  {step.pressure['ENDO_LV']:.2f} kPa: {volumes}; residuals {residuals}", flush=True)


if __name__ == "__main__":
    main()
