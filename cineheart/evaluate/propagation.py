"""``cineheart evaluate`` of the slice propagation: Dice of the myocardium, with and without, and of spoilt stacks."""

from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from BiVMeshLib import build_mesh
from BiVMeshLib.propagation import SlicePropagation
from BiVMeshLib.propagation.evaluation import (
    CHANGES,
    METHODS,
    OF_SEGMENTATION,
    PROPAGATED,
    SLICE_WISE,
    Comparison,
    compare_all,
    near,
    reference,
    spoilt,
)
from CardiacLib.datasets.hearts import read_hearts, require_complete
from CardiacLib.datasets.records import CaseRecord
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.networks.bundles import bundle_document, bundle_path
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import INITIALIZATION_BUNDLE, PROPAGATION_BUNDLE, NetworkChoice, RunsOn
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.mesh_options import MeshOptions
from CardiacSegLib import open_segmenter
from cineheart.cohort.engine import Workers, run_jobs
from cineheart.console import Answer
from cineheart.outputs import write_rows
from cineheart.provenance import provenance

from .card import folded, write_section
from .labelled import LabelledEvaluation, cases_to_judge
from .plots import COLOURS
from .tables import number, table

BINS = 12
"""Positions from base to apex in the plot."""
MESHED = ("network", "segmentation", *SLICE_WISE)
"""Methods whose labels are meshed."""
TITLES = {
    "expert's slice alone": "propagated from the expert's middle slice alone",
    "network's slice alone": "propagated from the initialization network's middle slice alone (the published method)",
    "network": "propagated, with the initialization network in every slice",
    "segmentation": "propagated, with cineheart_sax in every slice",
    "segmentation, aligned": "the same, slices first moved into line",
    "network, slice by slice": "initialization network, slice by slice, no propagation",
    "segmentation, interpolated": "cineheart_sax, interpolated, no propagation",
}
BUNDLES = (PROPAGATION_BUNDLE, INITIALIZATION_BUNDLE)


@dataclass(frozen=True)
class Volume:
    """One frame of one patient: what every method gave, at ED also with a spoilt slice, and how its meshes fared."""

    patient: str
    group: str
    phase: str
    found: dict[str, Comparison]
    spoilt: dict[tuple[str, str], tuple[float, float]]
    meshed: dict[str, str]


def propagates(bundle: str) -> bool:
    """Whether a bundle is one of the two slice networks."""
    network = bundle_document(bundle_path(bundle), "inference").get("network_def")
    return isinstance(network, dict) and ".propagation." in str(network.get("_target_"))


@dataclass(frozen=True)
class Job:
    """One patient to evaluate; what a worker process gets.

    Attributes:
        cases: of the patient, all with complete labels.
        bundles: folders of the propagation and of the initialization network.
        runs_on: what runs the networks.
        methods: of METHODS.
        robustness: also spoil a slice at ED.
        meshes: also build the meshes of the labels.
        trust: let the bundles' configurations run code.
    """

    cases: tuple[CaseRecord, ...]
    bundles: tuple[str, str]
    runs_on: RunsOn
    methods: tuple[str, ...]
    robustness: bool
    meshes: bool
    trust: bool


@dataclass(frozen=True)
class EvaluationOptions:
    """What is evaluated of the slice propagation.

    Attributes:
        runs_on: what runs the networks.
        labelled: which cases, and whether the numbers are written into both model cards too.
        robustness: also evaluate stacks with a spoilt slice.
        meshes: also build the mesh of every method's labels and count those that pass the gate.
        workers: processes, each with a patient.
        trust: let the configurations of foreign bundles run code.
        segmentation: also evaluate the methods that start from the labels of cineheart_sax: not on patients that it
            has learned from.
    """

    runs_on: RunsOn = RunsOn()
    labelled: LabelledEvaluation = field(default_factory=LabelledEvaluation)
    robustness: bool = False
    meshes: bool = False
    workers: int = 1
    trust: bool = False
    segmentation: bool = True


def evaluate_propagation(
    bundle: str, data: Path, output: Path, options: EvaluationOptions | None = None, *, progress: Progress = silent
) -> Answer:
    """Evaluate both slice networks on held-out patients; tables and plots to ``output``.

    Args:
        bundle: either of the two; the other is that which lies beside it, else the shipped one.
        data: labelled short-axis cases of any layout, all structures drawn in every slice.
        output: folder for ``evaluation.csv``, ``slices.csv``, ``evaluation.json``, ``.md`` and ``dice_by_slice.png``.
        options: what is evaluated.
        progress: of the whole.

    Returns:
        Mean Dice of each method; what was left out.

    Raises:
        InputError: no case is left, or one has some structures or slices only.
    """
    options = options or EvaluationOptions()
    folders = [_beside(bundle_path(bundle), name) for name in BUNDLES]
    cases, notes = _cases(folders, data, options)
    jobs = {
        subject: Job(
            cases=tuple(case for case in cases if case.subject == subject),
            bundles=tuple(map(str, folders)),
            runs_on=options.runs_on,
            methods=methods_of(options.segmentation),
            robustness=options.robustness,
            meshes=options.meshes,
            trust=options.trust,
        )
        for subject in dict.fromkeys(case.subject for case in cases)
    }
    found: dict[str, list[Volume]] = {}
    with closing(run_jobs(_evaluated, jobs, Workers(options.workers))) as results:
        for name, made, problem in results:
            if problem:
                raise RuntimeError(f"{name}: {problem}")
            found[name] = made
            progress(0.95 * len(found) / len(jobs), f"evaluated {name}")
    volumes = [volume for name in jobs for volume in found[name]]
    result = summary(volumes)
    with atomic_directory(output) as work:
        write_rows(work / "evaluation.csv", volume_rows(volumes))
        write_rows(work / "slices.csv", slice_rows(volumes))
        write_json(work / "evaluation.json", result)
        draw_by_slice(volumes, work / "dice_by_slice.png")
        picture = "![Dice from base to apex](dice_by_slice.png)\n"
        page = "\n".join(["# Slice propagation\n", accuracy(result), *more(result), picture])
        (work / "evaluation.md").write_text(page, encoding="utf-8")
        provenance([data], [str(folder) for folder in folders]).stamp(work)
    rest = [folded("Spoilt slices, and meshes", "\n".join(more(result)))] if more(result) else []
    card = "\n".join([accuracy(result), *rest])
    for folder in folders if options.labelled.update_card else ():
        write_section(folder / "docs" / "README.md", "evaluation", "Accuracy on held-out patients", card)
    return Answer(
        {method: round(result["methods"][method]["dice"]["mean"], 4) for method in methods_of(options.segmentation)},
        notes,
    )


def _cases(folders: list[Path], data: Path, options: EvaluationOptions) -> tuple[list[CaseRecord], tuple[str, ...]]:
    """Short-axis cases that neither network was trained on."""
    labelled = replace(options.labelled, choice=replace(options.labelled.choice, view="sax"))
    found = [cases_to_judge(folder, data, labelled) for folder in folders]
    common = [case for case in found[0][0] if case in found[1][0]]
    if not common:
        raise InputError(f"{data}: one or the other network was trained on each of these cases.")
    return common, tuple(dict.fromkeys(note for _, notes in found for note in notes))


def methods_of(segmentation: bool) -> tuple[str, ...]:
    """All methods, or those that do not start from the labels of cineheart_sax."""
    return METHODS if segmentation else tuple(m for m in METHODS if m not in OF_SEGMENTATION)


def _evaluated(job: Job) -> list[Volume]:
    """All labelled frames of one patient."""
    propagation, initialization = job.bundles
    networks = SlicePropagation(job.runs_on, propagation=propagation, initialization=initialization, trust=job.trust)
    needed = not set(OF_SEGMENTATION).isdisjoint(job.methods)
    segmenter = open_segmenter(NetworkChoice(runs_on=job.runs_on)) if needed else None
    volumes = []
    for heart in require_complete(read_hearts(job.cases)):
        true = LabelMap.of(heart.labels, heart.cine)
        segmented = segmenter.segment(heart.cine).labels if segmenter else None
        for frame, record in enumerate(heart.records):
            found = compare_all(networks, heart.cine, true, frame, segmented, methods=job.methods)
            spoil = job.robustness and record.phase in ("", "ED")
            changed = _spoilt(networks, segmenter, (heart.cine, true), frame, job.methods) if spoil else {}
            meshed = {m: _meshed(found[m]) for m in MESHED if m in found} if job.meshes else {}
            phase = record.phase or f"frame {frame if record.frame is None else record.frame}"
            volumes.append(Volume(record.subject, record.group, phase, found, changed, meshed))
    return volumes


def _beside(folder: Path, name: str) -> Path:
    if folder.name == name:
        return folder
    other = folder.parent / name
    return other if (other / "models" / "model.pt").is_file() else bundle_path(name)


def _spoilt(
    networks, segmenter, heart: tuple[Cine, LabelMap], frame: int, methods
) -> dict[tuple[str, str], tuple[float, float]]:
    """(change, method) to Dice of the volume and mean Dice near the spoilt slice, the start's neighbour to the apex."""
    images, true = heart
    expert = reference(images, true, frame)
    count = images.n_slices
    slice_ = expert.start_slice + (1 if expert.turned else -1)
    methods = methods[1:]  # the expert's slice stays as it is
    rows = {}
    for change in CHANGES:
        cine = spoilt(images, slice_, change)
        segmented = segmenter.segment(cine).labels if segmenter else None
        found = compare_all(networks, cine, true, frame, segmented, methods=methods)
        for method in methods:
            rows[change, method] = found[method].dice, near(found[method], expert, slice_, count)
    return rows


def _meshed(found: Comparison) -> str:
    """Empty if the labels' mesh passes the quality gate, else the reason."""
    if found.labels is None:
        return found.error
    try:
        build_mesh(found.labels, found.grid.ijk_to_lps, MeshOptions(fibres=False, coordinates=False))
    except InputError as error:
        return str(error)
    return ""


def summary(volumes: list[Volume]) -> dict[str, object]:
    """Means and worst cases by method; ready for JSON."""
    methods = {}
    for method in volumes[0].found:
        found = [v.found[method] for v in volumes]
        values = np.array([c.dice for c in found])
        worst = volumes[int(values.argmin())]
        methods[method] = {
            "dice": {
                "mean": float(values.mean()),
                "sd": float(values.std(ddof=min(1, len(values) - 1))),
                "worst": float(values.min()),
            },
            "worst_case": f"{worst.patient} {worst.phase}",
            "ed": _phase(volumes, method, "ED"),
            "es": _phase(volumes, method, "ES"),
            "structures": np.mean([c.structures for c in found], axis=0).tolist(),
            "failed": sum(bool(c.error) for c in found),
            "apical_third": _third(found, 2 / 3, 1.0),
            "basal_third": _third(found, 0.0, 1 / 3),
        }
        if volumes[0].meshed and method in MESHED:
            reasons = {f"{v.patient} {v.phase}": v.meshed[method] for v in volumes if v.meshed[method]}
            methods[method] |= {"meshes": len(volumes) - len(reasons), "not_meshed": reasons}
    changes = {}
    for change, method in volumes[0].spoilt:
        pairs = np.array([v.spoilt[change, method] for v in volumes if v.spoilt])
        changes.setdefault(change, {})[method] = {"dice": float(pairs[:, 0].mean()), "near": float(pairs[:, 1].mean())}
    return {"volumes": len(volumes), "methods": methods, "spoilt": changes}


def _phase(volumes: list[Volume], method: str, phase: str) -> float | None:
    """Mean Dice of a method at a phase; None where there is no such volume."""
    own = [v.found[method].dice for v in volumes if v.phase == phase]
    return float(np.mean(own)) if own else None


def _third(found: list[Comparison], low: float, high: float) -> float:
    """Mean 2-D Dice of the slices between two positions, over volumes."""
    means = [c.slices[(c.positions >= low) & (c.positions <= high)] for c in found]
    return float(np.mean([m.mean() for m in means if m.size]))


def volume_rows(volumes: list[Volume]) -> list[dict[str, object]]:
    """One row per volume and method, for ``evaluation.csv``."""
    rows = []
    for v in volumes:
        for method, c in v.found.items():
            parts = dict(zip(("lv", "myo", "rv", "rv_wall"), (round(s, 4) for s in c.structures), strict=True))
            row = {"patient": v.patient, "group": v.group, "phase": v.phase, "method": method}
            mesh = v.meshed.get(method)
            gate = "" if mesh is None else (mesh or "passed")
            rows.append(row | {"myocardium": round(c.dice, 4)} | parts | {"error": c.error, "mesh": gate})
    return rows


def slice_rows(volumes: list[Volume]) -> list[dict[str, object]]:
    """One row per slice of 1.25 mm, volume and method, for ``slices.csv``."""
    rows = []
    for v in volumes:
        for method, c in v.found.items():
            for place, value in zip(c.positions, c.slices, strict=True):
                row = {"patient": v.patient, "phase": v.phase, "method": method}
                rows.append(row | {"position": round(float(place), 4), "dice": round(float(value), 4)})
    return rows


def draw_by_slice(volumes: list[Volume], path: Path) -> None:
    """Mean 2-D Dice of the myocardium from base to apex, a line per method, the quartiles shaded for two of them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    edges = np.linspace(0, 1, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    for n, method in enumerate(METHODS):
        if method not in volumes[0].found:
            continue
        places = np.concatenate([v.found[method].positions for v in volumes])
        values = np.concatenate([v.found[method].slices for v in volumes])
        bins = np.clip(np.digitize(places, edges) - 1, 0, BINS - 1)
        groups = [values[bins == b] for b in range(BINS)]
        style = "-" if method in PROPAGATED else "--"
        means = [g.mean() for g in groups]
        axes.plot(middles, means, style, color=COLOURS[n], marker="o", markersize=4, label=TITLES[method])
        if method in ("network", "network, slice by slice"):
            low, high = zip(*(np.percentile(g, (25, 75)) for g in groups), strict=True)
            axes.fill_between(middles, low, high, color=COLOURS[n], alpha=0.12, linewidth=0)
    axes.set(xlabel="position, base to apex", ylabel="2-D Dice, both ventricles' myocardium", ylim=(0, 1), xlim=(0, 1))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False, loc="lower left")
    figure.savefig(path, dpi=110)


def accuracy(result: dict) -> str:
    """The table of the methods, for the model cards."""
    head = ["labels", "myocardium", "SD", "worst", "ED", "ES", "LV", "LV wall", "RV", "RV wall"]
    head += ["basal third", "apical third", "failed"]
    rows = []
    for method, m in result["methods"].items():
        cells = [m["dice"]["mean"], m["dice"]["sd"], m["dice"]["worst"], m["ed"], m["es"], *m["structures"]]
        cells += [m["basal_third"], m["apical_third"]]
        rows.append([TITLES[method], *(number(value, 3) for value in cells), str(m["failed"])])
    text = (
        f"{result['volumes']} volumes of patients that were never trained on. 3-D Dice of both ventricles' "
        "myocardium on 1.25 mm voxels, all slices up to the expert's base slice, which every method was given; the "
        "truth is the experts' labels interpolated by shape with an RV wall of 3 mm. The thirds are means of 2-D Dice. "
        "Written by `cineheart evaluate`.\n"
    )
    return "\n".join([text, table(head, rows)])


def more(result: dict) -> list[str]:
    """The tables of spoilt slices and of meshes, where they were asked for."""
    parts = []
    if result["spoilt"]:
        text = (
            "ED with the slice next to the start slice, towards the apex, spoilt: Dice of the volume, and mean 2-D "
            "Dice within one slice distance of it.\n"
        )
        parts += [text, _spoilt_table(result["spoilt"])]
    counted = {name: m for name, m in result["methods"].items() if "meshes" in m}
    if counted:
        rows = [[TITLES[name], f"{m['meshes']} of {result['volumes']}"] for name, m in counted.items()]
        parts += [
            "Meshes of the labels that pass the quality gate of `cineheart mesh`:\n",
            table(["labels", "meshes"], rows),
        ]
    return parts


def _spoilt_table(changes: dict) -> str:
    methods = list(next(iter(changes.values())))
    rows = []
    for change, by_method in changes.items():
        cells = [f"{by_method[m]['dice']:.3f} / {by_method[m]['near']:.3f}" for m in methods]
        rows.append([change, *cells])
    return table(["spoilt slice", *(TITLES[m] for m in methods)], rows)
