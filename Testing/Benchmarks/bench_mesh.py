"""Quality, truth to the shape, time and memory of the mesher on an analytic heart, beside the optional meshers.

    python Testing/Benchmarks/bench_mesh.py [--only NAME ...] [--edge-length MM] [--json]
    python Testing/Benchmarks/bench_mesh.py --tets 10000 30000 50000 200000 500000
    python Testing/Benchmarks/bench_mesh.py --motion LABELS

The heart is made of ellipsoids: an LV (epicardium 33 x 33 x 72 mm, cavity 24 x 24 x 62 mm), an RV cavity of
34 x 36 x 60 mm beside it with a wall of 4 mm, cut by a flat base. It is sampled as labels at 1.25 mm in all directions,
and at 1.25 mm in slices 8 mm apart. Every mesh of these labels is held against the analytic surface and volume:

- volume error of the myocardium, and Dice (points drawn in every tet);
- distance between surfaces, both ways, points against triangles: mean (ASSD) and 95th percentile (H95);
- element shape and topology as in ``quality.json``.

The optional meshers (fTetWild, Mmg) fill the surface of our stuffed mesh anew with the same edge length, as delivered.
Each measurement is a process of its own. CPU seconds are those of all threads; they stay the same when other programs
use the machine. The time of one of our meshes includes everything from labels to quality report; fibres are timed
apart. "missed" names the goals that a mesh misses.

``--tets`` makes meshes of the asked-for sizes of the labels at 1.25 mm, fibres and coordinates with them, and says how
processor time and memory grow: the exponent p of (tets)^p from one row to the next. ``--motion`` carries the mesh of a
label map's end-diastole over all its frames.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / name) for name in ("CardiacSeg", "CardiacLandmarks", "BiVMesh"))]

SLICES_MM = {"1.25": 1.25, "8": 8.0}
PIXEL_MM = 1.25
LV_EPI, LV_POOL = ((0, 0, 0), (33, 33, 72)), ((0, 0, 0), (24, 24, 62))
RV_POOL, RV_EPI = ((27, 0, 3), (34, 36, 60)), ((27, 0, 3), (38, 40, 64))
BASE_MM = 20.0
LOW, HIGH = np.array([-45.0, -52.5, -80.0]), np.array([75.0, 52.5, 32.0])
SHAPE = ("min_dihedral_deg", "max_dihedral_deg", "scaled_jacobian_min", "scaled_jacobian_p1", "scaled_jacobian_mean")
GOALS = {
    "abs_volume_error_percent": ("<=", 0.5, 1.0),
    "h95_mm": ("<=", 0.55, 0.80),
    "assd_mm": ("<=", 0.25, 0.35),
    "dice": (">=", 0.96, 0.96),
    "base_flatness_mm": ("<=", 1e-6, 1e-6),
}
"""Criterion, bound at 1.25 mm, bound at 8 mm slices; to them come the limits of SHAPE in the quality report."""
EXACT = {"open_edges": 0, "nonmanifold_edges": 0, "nonmanifold_vertices": 0, "self_intersections": 0, "euler": 2}
EXACT |= {"inverted_tets": 0, "zero_gradient_tets": 0, "epi_to_endo_rv_edges": 0, "tets_below_10_deg": 0}
EXACT |= {"patch_euler": {"EPI": 1, "ENDO_LV": 1, "ENDO_RV": 1, "BASE": -1}}


def ellipsoid(points: np.ndarray, body) -> np.ndarray:
    """First-order signed distance in mm, negative inside."""
    centre, radii = (np.array(part, float) for part in body)
    scaled = (points - centre) / radii
    length = np.linalg.norm(scaled, axis=-1)
    return length * (length - 1.0) / (np.linalg.norm(scaled / radii, axis=-1) + 1e-12)


def myocardium(points: np.ndarray) -> np.ndarray:
    """Negative in the analytic myocardium; points (..., 3) LPS, base at z = BASE_MM."""
    lv, lv_epi, rv, rv_epi = (ellipsoid(points, body) for body in (LV_POOL, LV_EPI, RV_POOL, RV_EPI))
    wall = np.maximum(np.minimum(lv_epi, rv_epi), -lv)
    return np.maximum(np.maximum(wall, -np.maximum(rv, -lv_epi)), points[..., 2] - BASE_MM)


def make_labels(slice_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels uint8 (K, J, I) and the index-to-LPS matrix; a slice lies in the base plane."""
    x, y = (np.arange(LOW[n], HIGH[n] + 1e-9, PIXEL_MM) for n in (0, 1))
    z = BASE_MM - slice_mm * np.arange(int((BASE_MM - LOW[2]) / slice_mm) + 1)[::-1]
    points = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], axis=-1)
    labels = np.zeros(points.shape[:3], np.uint8)
    for value, body in ((4, RV_EPI), (3, RV_POOL), (2, LV_EPI), (1, LV_POOL)):
        labels[ellipsoid(points, body) <= 0] = value
    matrix = np.diag([PIXEL_MM, PIXEL_MM, slice_mm, 1.0])
    matrix[:3, 3] = x[0], y[0], z[0]
    return labels, matrix


def true_surface(step_mm: float = 0.5) -> tuple[np.ndarray, np.ndarray, float]:
    """Nodes, triangles and volume in ml of the analytic myocardium."""
    from skimage.measure import marching_cubes

    axes = [np.arange(LOW[n], HIGH[n], step_mm) for n in range(3)]
    # The base lies between two layers of the grid, where marching cubes finds it exactly.
    axes[2] += 0.5 * step_mm
    grid = np.stack(np.meshgrid(axes[0], axes[1], indexing="ij"), axis=-1)
    field = np.empty([len(a) for a in axes], np.float32)
    for k, z in enumerate(axes[2]):
        field[:, :, k] = myocardium(np.concatenate([grid, np.full((*grid.shape[:2], 1), z)], axis=-1))
    points, triangles, _, _ = marching_cubes(field, 0.0, spacing=(step_mm,) * 3)
    points = points + [a[0] for a in axes]
    a, b, c = (points[triangles[:, n]] for n in range(3))
    return points, triangles, abs(float(np.einsum("ij,ij->", a, np.cross(b, c)))) / 6000.0


def against_truth(mesh) -> dict[str, float]:
    """Volume error, Dice and surface distances of a mesh."""
    from BiVMeshLib.check.fidelity import distance_to_triangles
    from BiVMeshLib.check.quality import signed_volumes

    points, triangles, volume = true_surface()
    rng = np.random.default_rng(0)
    there = distance_to_triangles(points[rng.choice(len(points), 40_000, replace=False)], mesh.nodes, mesh.triangles)
    back = distance_to_triangles(mesh.nodes[np.unique(mesh.triangles)], points, triangles)
    both = np.concatenate([there, back])
    volumes = signed_volumes(mesh.nodes, mesh.tets)
    share = rng.dirichlet(np.ones(4), (len(mesh.tets), 8))
    inside = (myocardium(np.einsum("mqc,mci->mqi", share, mesh.nodes[mesh.tets])) < 0).mean(1)
    ml = volumes.sum() / 1000.0
    return {
        "volume_error_percent": 100.0 * (ml / volume - 1.0),
        "abs_volume_error_percent": 100.0 * abs(ml / volume - 1.0),
        "dice": 2.0 * float(inside @ volumes) / 1000.0 / (ml + volume),
        "h95_mm": float(np.percentile(both, 95)),
        "assd_mm": float(both.mean()),
    }


def measure(mesher: str, slices: str, edge_mm: float) -> dict[str, object]:
    """One row of the table."""
    from BiVMeshLib import MeshOptions, build_mesh
    from BiVMeshLib.anatomy.with_anatomy import with_anatomy

    labels, matrix = make_labels(SLICES_MM[slices])
    options = MeshOptions(edge_length_mm=edge_mm, mesher=mesher, fibres=False, coordinates=False)
    wall, cpu = time.perf_counter(), time.process_time()
    mesh = build_mesh(labels, matrix, options) if mesher == "stuffing" else other_mesh(labels, matrix, options)
    seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    row = {"mesher": mesher, "slices_mm": slices, "tets": len(mesh.tets), **seconds, "peak_memory_mb": memory}
    report = mesh.quality.to_dict()
    row |= {name: report[name] for name in (*SHAPE, *GOALS, *EXACT) if name in report} | against_truth(mesh)
    row["edge_mm_mean"] = mesh.quality.shape.edge_mm_mean
    if mesher == "stuffing":
        wall, cpu = time.perf_counter(), time.process_time()
        with_anatomy(mesh, MeshOptions(coordinates=False))
        row |= {"fibres_wall_s": time.perf_counter() - wall, "fibres_cpu_s": round(time.process_time() - cpu, 1)}
    return {"fibres_cpu_s": "", **row}


def measure_size(tets: int) -> dict[str, float]:
    """One row of the table of sizes: a mesh of about ``tets`` tets with fibres and coordinates."""
    from BiVMeshLib import MeshOptions, build_mesh

    labels, matrix = make_labels(SLICES_MM["1.25"])
    wall, cpu = time.perf_counter(), time.process_time()
    mesh = build_mesh(labels, matrix, MeshOptions(tets=tets))
    row = {"asked": tets, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    row["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    row |= {"tets": len(mesh.tets), "edge_mm_mean": mesh.quality.shape.edge_mm_mean}
    shape = mesh.quality.to_dict()
    return row | {name: shape[name] for name in SHAPE} | against_truth(mesh)


def exponent(last: dict[str, float] | None, row: dict[str, float], name: str) -> str:
    """p of (tets)^p between two rows."""
    if last is None or row["tets"] == last["tets"]:
        return ""
    return f"{np.log(row[name] / last[name]) / np.log(row['tets'] / last['tets']):.2f}"


SIZES = {
    "asked": "{:.0f}",
    "tets": "{:.0f}",
    "edge_mm_mean": "{:.2f}",
    "wall_s": "{:.1f}",
    "cpu_s": "{:.1f}",
    "peak_memory_mb": "{:.0f}",
    "scaled_jacobian_min": "{:.3f}",
    "min_dihedral_deg": "{:.1f}",
    "scaled_jacobian_mean": "{:.3f}",
    "volume_error_percent": "{:+.2f}",
    "h95_mm": "{:.2f}",
}


def print_sizes(sizes: list[int]) -> None:
    """The table of sizes, each in a process of its own."""
    print("| " + " | ".join(SIZES) + " | growth of cpu_s | growth of peak_memory_mb | load |")
    print("|" + "---|" * (len(SIZES) + 3))
    last = None
    for tets in sizes:
        row = _in_process("--measure-size", str(tets))
        cells = " | ".join(form.format(row[name]) for name, form in SIZES.items())
        grows = " | ".join(exponent(last, row, name) for name in ("cpu_s", "peak_memory_mb"))
        print(f"| {cells} | {grows} | {os.getloadavg()[0]:.1f} |", flush=True)
        last = row


def print_motion(path: Path) -> None:
    """Seconds for each frame, worst elements and volumes of a label map's mesh over its cycle."""
    from BiVMeshLib.result import MeshChoice
    from CardiacLib.readers import read_labels
    from CardiacLib.types.mesh_options import MeshOptions
    from cineheart import steps

    labels, choice = read_labels(path), MeshChoice("ed", MeshOptions(), motion=False)
    still = steps.mesh(labels, choice)
    wall, cpu = time.perf_counter(), time.process_time()
    moving = steps.move(still, labels, choice).complete().moving
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count, curves = len(moving), moving.quality.curves()
    print(f"{len(still.mesh.tets)} tets, {count} frames, mesh of frame {still.frame}")
    print(f"{wall / count:.2f} s a frame, {cpu / count:.2f} processor s; load {os.getloadavg()[0]:.1f}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(f"peak memory {memory:.0f} MB; seconds by step {moving.quality.seconds}")
    names = [name for name, values in curves.items() if None not in values]
    print("| frame | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    for frame in range(count):
        print(f"| {frame} | " + " | ".join(f"{curves[name][frame]:.4g}" for name in names) + " |")


def _in_process(*arguments: str) -> dict[str, object]:
    """What a process of this file prints last."""
    out = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def other_mesh(labels: np.ndarray, matrix: np.ndarray, options):
    """A mesh of another mesher, measured but not gated."""
    from BiVMeshLib import pipeline

    heart = pipeline.prepare(labels, matrix, options)
    return pipeline.mesh_once(heart, pipeline.sizing_for(heart.shape, options), options)


def missed(row: dict[str, object]) -> list[str]:
    """The goals that a row misses."""
    from CardiacLib.types.mesh_criteria import LIMITS

    bound = 1 if row["slices_mm"] == "1.25" else 2
    found = [name for name, value in EXACT.items() if row.get(name) != value]
    found += [name for name in SHAPE if not LIMITS[name].met_by(row[name])]
    for name, goal in GOALS.items():
        if name == "dice" and row["slices_mm"] == "1.25":
            continue
        low, value = goal[0] == ">=", row[name]
        if (low and value < goal[bound]) or (not low and value > goal[bound]):
            found.append(name)
    return found


COLUMNS = {
    "tets": "{:.0f}",
    "wall_s": "{:.1f}",
    "cpu_s": "{:.1f}",
    "peak_memory_mb": "{:.0f}",
    "min_dihedral_deg": "{:.1f}",
    "max_dihedral_deg": "{:.0f}",
    "scaled_jacobian_min": "{:.3f}",
    "scaled_jacobian_p1": "{:.3f}",
    "scaled_jacobian_mean": "{:.3f}",
    "euler": "{}",
    "volume_error_percent": "{:+.2f}",
    "dice": "{:.3f}",
    "h95_mm": "{:.2f}",
    "assd_mm": "{:.3f}",
    "fibres_cpu_s": "{}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", help="meshers: stuffing, ftetwild, mmg")
    parser.add_argument("--slices", nargs="+", choices=SLICES_MM, default=list(SLICES_MM))
    parser.add_argument("--edge-length", type=float, default=1.8)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tets", nargs="+", type=int, metavar="N", help="table of these sizes instead")
    parser.add_argument("--motion", type=Path, metavar="LABELS", help="motion of this label map instead")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--measure-size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure_size:
        print(json.dumps(measure_size(arguments.measure_size), default=float))
        return
    if arguments.tets or arguments.motion:
        print_motion(arguments.motion) if arguments.motion else print_sizes(arguments.tets)
        return
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure, arguments.edge_length), default=float))
        return
    from BiVMeshLib.tetra.meshers import MESHERS, is_installed

    names = arguments.only or ["stuffing", *filter(is_installed, MESHERS)]
    rows = []
    if not arguments.json:
        print("| slices, mm | mesher | " + " | ".join(COLUMNS) + " | load | missed |")
        print("|" + "---|" * (len(COLUMNS) + 4))
    for slices in arguments.slices:
        for name in names:
            row = _in_process("--measure", name, slices, "--edge-length", str(arguments.edge_length))
            rows.append(row | {"load": round(os.getloadavg()[0], 1), "missed": missed(row)})
            if not arguments.json:
                cells = " | ".join(form.format(row[name]) for name, form in COLUMNS.items())
                ends = f"{rows[-1]['load']} | {', '.join(rows[-1]['missed']) or 'none'}"
                print(f"| {slices} | {row['mesher']} | {cells} | {ends} |", flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
