"""Volumes with whole basal slices against those that end at the valve planes, on synthetic hearts with known truth.

    python Testing/Benchmarks/bench_base.py [--hearts N] [--json FILE]
    python Testing/Benchmarks/bench_base.py --points
    python Testing/Benchmarks/bench_base.py --study DIR

Hearts differ in size, ejection fraction, tilt of the valve plane, slice distance, where the first slice lies and how
breath holds shift slices. All comes from images: labels from the default short-axis network, points from the default
long-axis network. Prints mean absolute errors in ml and points. ``--points``: true labels, and true valve points that
are displaced along the LV axis. ``--study``: both ways of counting on a real study, and what should agree there: stroke
volumes of both ventricles, and the myocardium at ED and ES. The tables are in Docs/notes/base.md.
"""

import argparse
import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from CardiacLandmarksLib.pipeline import find_landmarks
from CardiacLib.phantom import PhantomOptions, make_phantom
from CardiacLib.readers import read_study
from CardiacLib.types.labels import LV, MYO, RV
from CardiacLib.types.landmarks import LANDMARK_NAMES
from CardiacSegLib import measure, open_segmenter
from CardiacSegLib.segment.valve_plane import cut_at_valve_plane, off_plane_mm

TILTS = (0.05, 0.22, 0.40)
SLICES_MM = ((6.0, 6.0), (8.0, 8.0), (10.0, 8.0), (17.0, 8.0))
"""Distance and thickness."""
SPREAD_MM, DRIFT_MM = (2, 4, 6, 8, 12), (10, 20, 30)
IN_2CH = [n for n, name in enumerate(LANDMARK_NAMES) if name.startswith("mitral") and name.endswith("2CH")]


def hearts(draws: int):
    """Options of every heart; the same each time."""
    rng = np.random.default_rng(24)
    for draw in range(draws):
        for tilt in TILTS:
            for distance, thickness in SLICES_MM:
                ef = float(rng.uniform(30.0, 65.0))
                edv = float(rng.uniform(110.0, 220.0))
                yield PhantomOptions(
                    lv_edv_ml=edv,
                    lv_ef_percent=ef,
                    rv_edv_ml=edv * 1.07,
                    rv_ef_percent=ef * 0.93,
                    mapse_mm=float(np.interp(ef, [30.0, 65.0], [5.0, 13.0])),
                    base_tilt=tilt,
                    n_frames=8,
                    sax_pixel_mm=1.8,
                    sax_size=128,
                    lax_pixel_mm=1.8,
                    lax_size=144,
                    slice_spacing_mm=distance,
                    slice_thickness_mm=thickness,
                    first_slice_mm=-float(rng.uniform(0.0, distance)),
                    roll_deg=float(rng.uniform(-20.0, 20.0)),
                    breath_hold_shift_mm=2.0 * (draw % 2),
                    seed=100 * draw + int(100 * tilt) + int(distance),
                )


def measured(options: PhantomOptions, segmenter) -> dict[str, object]:
    """ED and ES volumes of LV, myocardium and RV: true, whole slices, cut at the valves found, cut at the true ones."""
    phantom = make_phantom(options)
    cine = phantom.cines["sax"]
    found = segmenter.segment(cine).labels
    points = find_landmarks(phantom.cines).landmarks(cine)
    ends = [phantom.ed, phantom.es]
    row: dict[str, object] = {"tilt": options.base_tilt, "distance": options.slice_spacing_mm}
    row["true"] = [[float(phantom.volumes[name][t]) for t in ends] for name in ("lv", "myo", "rv")]
    row["whole"] = [found.volume_ml(label)[ends].tolist() for label in (LV, MYO, RV)]
    for name, valves in (("cut", points), ("cut, true points", phantom.landmarks)):
        cut = cut_at_valve_plane(found, valves)
        row[name] = [np.asarray(curve)[ends].tolist() for curve in (cut.lv_ml, cut.myo_ml, cut.rv_ml)]
    return row


def errors(rows: list[dict], way: str) -> dict[str, float]:
    """Mean absolute errors of one way of counting."""
    true, found = (np.array([row[name] for row in rows]) for name in ("true", way))
    ef_true, ef = (100.0 * (1.0 - a[..., 1] / a[..., 0]) for a in (true, found))
    off = np.abs(found - true).mean(0)
    told = {
        f"{name} {phase}": off[n, t]
        for n, name in enumerate(("LV", "MYO", "RV"))
        for t, phase in enumerate(("ED", "ES"))
    }
    return told | {f"{name} EF": float(np.abs(ef - ef_true)[:, n].mean()) for n, name in ((0, "LV"), (2, "RV"))}


def displaced_points() -> None:
    """What errors of the points cost: true labels of ED and ES, points moved along the LV axis."""
    rng, table = np.random.default_rng(1), {}
    for tilt, (distance, thickness), start, ef in product(TILTS, SLICES_MM, (0.0, 0.5), (60.0, 35.0)):
        options = PhantomOptions.small(
            base_tilt=tilt,
            slice_spacing_mm=distance,
            slice_thickness_mm=thickness,
            first_slice_mm=-distance * start,
            lv_ef_percent=ef,
            mapse_mm=5.0 if ef < 40.0 else 13.0,
        )
        phantom = make_phantom(options)
        ends = [phantom.ed, phantom.es]
        labels, points = phantom.labels.only(ends), phantom.landmarks.only(ends)
        true, axis = phantom.volumes["lv"][ends], phantom.heart_to_lps[:3, 2]
        moved = {"true points": points.points}
        for mm in SPREAD_MM:
            spread = rng.normal(0.0, mm, points.points.shape[:2])
            moved[f"each point, standard deviation {mm} mm"] = points.points + spread[..., None] * axis
        for mm in DRIFT_MM:
            drifted = points.points.copy()
            drifted[1, IN_2CH] += mm * axis  # the heart frame's z points from the apex to the base
            moved[f"2CH points {mm} mm into the atrium at ES"] = drifted
        found = {name: cut_at_valve_plane(labels, replace(points, points=p)).lv_ml for name, p in moved.items()}
        for name, lv in ({"whole slices": labels.volume_ml(LV)} | found).items():
            ef_off = 100.0 * (lv[1] / lv[0] - true[1] / true[0])
            table.setdefault(name, []).append(np.abs([*(lv - true), ef_off]))
    for name, rows in table.items():
        ed, es, ef = np.mean(rows, 0)
        print(f"{name} ({len(rows)}): LV ED {ed:.1f} ml, ES {es:.1f} ml, EF {ef:.1f}")


def real_study(folder: Path) -> None:
    """Both ways of counting on a study whose truth nobody knows."""
    study = read_study(folder)
    cine = study.cines["sax"]
    labels = open_segmenter().segment(cine).labels
    points = find_landmarks(study.cines).landmarks(cine)
    function, cut = measure(labels), cut_at_valve_plane(labels, points)
    ends = [function.ed, function.es]
    whole = [labels.volume_ml(label) for label in (LV, MYO, RV)]
    for name, curves in (("whole", whole), ("cut", (cut.lv_ml, cut.myo_ml, cut.rv_ml))):
        lv, myo, rv = (np.asarray(curve)[ends] for curve in curves)
        print(
            f"{name}: LV {lv[0]:.1f} / {lv[1]:.1f} ml, EF {100 * (1 - lv[1] / lv[0]):.1f}; RV {rv[0]:.1f} / {rv[1]:.1f}"
        )
        print(f"  stroke volumes {lv[0] - lv[1]:.1f}, {rv[0] - rv[1]:.1f}; myocardium {myo[0]:.1f} / {myo[1]:.1f} ml")
    print(f"mitral points off their plane: at most {np.nanmax(off_plane_mm(points)):.1f} mm in any frame")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearts", type=int, default=2, help="draws of each tilt and slice distance")
    parser.add_argument("--json", help="file for the volumes")
    parser.add_argument("--points", action="store_true", help="what errors of the points cost")
    parser.add_argument("--study", type=Path, help="a real study instead")
    arguments = parser.parse_args()
    if arguments.points or arguments.study:
        displaced_points() if arguments.points else real_study(arguments.study)
        return
    segmenter, rows = open_segmenter(), []
    for options in hearts(arguments.hearts):
        rows.append(measured(options, segmenter))
        print(len(rows), rows[-1], flush=True)
        if arguments.json:
            with open(arguments.json, "w") as stream:
                json.dump(rows, stream)
    groups = {"all": rows} | {f"tilt {t}": [r for r in rows if r["tilt"] == t] for t in TILTS}
    groups |= {f"{d:.0f} mm": [r for r in rows if r["distance"] == d] for d, _ in SLICES_MM}
    for name, chosen in groups.items():
        for way in ("whole", "cut", "cut, true points"):
            told = ", ".join(f"{key} {value:.1f}" for key, value in errors(chosen, way).items())
            print(f"{name} ({len(chosen)}), {way}: {told}")


if __name__ == "__main__":
    main()
