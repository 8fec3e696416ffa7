"""``cineheart evaluate`` of a landmark bundle: accuracy on held-out four-chamber frames and on phantoms."""

from pathlib import Path

import numpy as np

from CardiacLandmarksLib import open_detector
from CardiacLandmarksLib.evaluation import (
    CHANGES,
    NEAR_PIXELS,
    FoundFrame,
    calibration,
    error_table,
    evaluate_frames,
    evaluate_phantoms,
    sure_frames,
    wrong_view,
)
from CardiacLandmarksLib.train.four_chamber import PIXEL_MM, FourChamberFrames, read_four_chamber
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.networks.bundles import bundle_metadata, bundle_path
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS
from cineheart.console import Answer
from cineheart.outputs import write_rows
from cineheart.provenance import provenance

from .card import folded, write_section
from .landmark_pictures import draw_worst
from .tables import number, table

WORST = 10
"""Frames drawn."""
CLOSE_MM = 7.5
"""The confidence is the probability of an error up to this (``decode.REACH_CELLS``)."""


def finds_landmarks(bundle: str) -> bool:
    """Whether a bundle's network finds points rather than labels pixels."""
    stated = bundle_metadata(bundle_path(bundle))
    for key in ("network_data_format", "outputs", "pred", "format"):
        stated = stated.get(key) if isinstance(stated, dict) else None
    return stated == "points"


def evaluate_landmark_bundle(
    network: NetworkChoice, data: Path, output: Path, *, update_card: bool = False, progress: Progress = silent
) -> Answer:
    """Evaluate on the held-out frames in ``data``; write tables and pictures to ``output``.

    Args:
        network: that finds landmarks.
        data: folder of the four-chamber frames.
        output: folder for ``evaluation.csv``, ``.json``, ``.md`` and ``worst.png``.
        update_card: write the numbers into the model card too.
        progress: of the whole.

    Returns:
        Facts to show.
    """
    folder = bundle_path(network.bundle)
    detector = open_detector(network)
    frames = sure_frames(read_four_chamber(data, validation=True))
    found = evaluate_frames(frames, detector, progress=part(progress, 0.0, 0.2))
    phantoms = evaluate_phantoms(detector, told=False)
    progress(0.5, "phantoms evaluated")
    result = {
        "frames": len(frames.files),
        "pixel_mm": PIXEL_MM,
        "table": error_table(found),
        "confidence": calibration(found, CLOSE_MM / PIXEL_MM),
        "view_recognised_percent": recognised(found, ["4ch"] * len(found)),
        "phantom": error_table(phantoms),
        "phantom_view_recognised_percent": recognised(phantoms, [frame.name.split()[2] for frame in phantoms]),
        "changes": _changes(frames, detector, part(progress, 0.5, 0.95)),
        "wrong_view_found_percent": wrong_view(frames, detector),
    }
    with atomic_directory(output) as work:
        write_rows(work / "evaluation.csv", point_rows([*found, *phantoms]))
        write_json(work / "evaluation.json", result)
        draw_worst(sorted(found, key=lambda frame: -frame.worst)[:WORST], work / "worst.png")
        (work / "evaluation.md").write_text(page(folder.name, result), encoding="utf-8")
        provenance([data], [network.bundle]).stamp(work)
    if update_card:
        _write_card(folder / "docs" / "README.md", result)
    return Answer({row["point"]: _short(row) for row in result["table"]})


def _write_card(card: Path, result: dict) -> None:
    accuracy = "\n".join([patients_text(result), folded("Phantoms", phantoms_text(result))])
    write_section(card, "evaluation", "Accuracy on patients it never saw", accuracy)
    robust = folded("Errors after each change of the images", robustness_text(result))
    write_section(card, "robustness", "Robustness", robust)


def recognised(found: list[FoundFrame], views: list[str]) -> float:
    """Percent of the images whose likeliest view is the true one."""
    right = [LANDMARK_VIEWS[_first_of(frame, view)] == view for frame, view in zip(found, views, strict=True)]
    return 100 * float(np.mean(right))


def _first_of(frame: FoundFrame, view: str) -> int:
    """Index of a point of the likeliest view; of another view's than ``view`` where none is likelier than not."""
    from CardiacLandmarksLib.detect.detector import DETECTED_VIEWS

    likeliest = DETECTED_VIEWS[int(frame.views.argmax())] if frame.views.sum() > 0.5 else None
    wanted = likeliest or next(other for other in DETECTED_VIEWS if other != view)
    return LANDMARK_VIEWS.index(wanted)


def point_rows(found: list[FoundFrame]) -> list[dict[str, object]]:
    """One row per labelled point of each image, for ``evaluation.csv``."""
    rows = []
    for frame in found:
        for n in np.flatnonzero(np.isfinite(frame.true[:, 0])):
            values = (*frame.true[n], *frame.found[n], frame.errors[n], frame.confidence[n])
            names = ("true_row", "true_column", "found_row", "found_column", "error_px", "confidence")
            cells = {k: round(float(v), 3) for k, v in zip(names, values, strict=True)}
            rows.append({"image": frame.name, "point": LANDMARK_NAMES[n], **cells})
    return rows


def _changes(frames: FourChamberFrames, detector, progress: Progress) -> list[dict[str, object]]:
    rows = []
    for n, (name, change) in enumerate(CHANGES.items()):
        found = evaluate_frames(frames, detector, change)
        valves = {row["point"]: row for row in error_table(found)}
        rows.append({"change": name, "mitral": valves["all mitral"], "tricuspid": valves["all tricuspid"]})
        progress((n + 1) / len(CHANGES), f"evaluated {name}")
    return rows


def patients_text(result: dict) -> str:
    """The errors in frames of patients, for the model card."""
    sure = result["confidence"]
    within = {name: number(sure[f"{name}_within_percent"], 0) for name in ("sure", "unsure")}
    return "\n".join(
        [
            f"{result['frames']} four-chamber frames of patients that were never trained on (number mod 5 = 1), with "
            "all four points checked or read by eye; each frame by itself, the view given. Errors in pixels of the "
            f"246 x 246 images (about {result['pixel_mm']} mm, which the images do not state). Written by "
            "`cineheart evaluate`.\n",
            _errors(result["table"]),
            f"The view was recognised in {result['view_recognised_percent']:.0f} %. Mean confidence "
            f"{sure['mean_confidence_percent']:.0f} %; {sure['within_percent']:.0f} % of the points lie within the "
            f"{CLOSE_MM} mm it speaks of ({within['sure']} % of the {sure['sure_points']} with a confidence of 0.9 and "
            f"more, {within['unsure']} % of the {sure['unsure_points']} others).\n",
        ]
    )


def phantoms_text(result: dict) -> str:
    """The errors in phantoms, for the model card."""
    return "\n".join(
        [
            "Phantoms of other hearts than those trained on, 10 frames each, pixels of 1.4 to 1.8 mm, the view not "
            f"given (recognised in {result['phantom_view_recognised_percent']:.0f} % of the frames):\n",
            _errors(result["phantom"]),
        ]
    )


def robustness_text(result: dict) -> str:
    """Errors after each change of the images, for the model card."""
    head = ["change", "mitral median", "95 %", "not found", "tricuspid median", "95 %", "not found"]
    rows = []
    for row in result["changes"]:
        cells = [row["change"]]
        for valve in ("mitral", "tricuspid"):
            values = row[valve]
            cells += [number(values["median_px"], 1), number(values["p95_px"], 1), str(values["missed"])]
        rows.append(cells)
    return (
        "The same frames after each change, errors in pixels of the unchanged image.\n\n"
        + table(head, rows)
        + "\nTold that a four-chamber frame is a 2CH or 3CH view, it finds "
        f"{result['wrong_view_found_percent']:.0f} % of the points of that view instead of none.\n"
    )


def _errors(rows: list[dict]) -> str:
    head = ["point", "n", "median px", "mean px", "95 % px", "worst px", f"within {NEAR_PIXELS:.0f} px", "not found"]
    lines = []
    for row in rows:
        values = [number(row[key], 2) for key in ("median_px", "mean_px", "p95_px", "worst_px")]
        lines.append([row["point"], str(row["n"]), *values, f"{row['near_percent']:.0f} %", str(row["missed"])])
    return table(head, lines)


def page(bundle: str, result: dict) -> str:
    """``evaluation.md``: every table with the picture that lies beside it."""
    parts = [f"# Evaluation of {bundle}\n", patients_text(result), phantoms_text(result)]
    parts += ["## Robustness\n", robustness_text(result)]
    return "\n".join([*parts, f"## The {WORST} worst frames\n", "![The worst frames](worst.png)\n"])


def _short(row: dict) -> str:
    return f"median {number(row['median_px'], 2)} px, 95 % {number(row['p95_px'], 2)} px, {row['missed']} not found"
