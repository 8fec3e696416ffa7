"""``cineheart mice evaluate``: tables, Bland-Altman plots and moving overlays of a folder of animals."""

from pathlib import Path

from CardiacLib.datasets.mouse.hdf5 import animal_files
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.networks.bundles import bundle_metadata, bundle_path
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacSegLib import open_segmenter
from CardiacSegLib.mouse.evaluation import PHASES, STRUCTURES, UNITS, AnimalScore, rows, score_animal, summary
from cineheart.console import Answer
from cineheart.outputs import write_rows
from cineheart.provenance import provenance

from .pictures import bland_altman, write_overlay


def evaluate(
    network: NetworkChoice, data: Path, output: Path, pictures: int = 3, *, progress: Progress = silent
) -> Answer:
    """Evaluate a network on every animal of a folder.

    Writes ``animals.csv``, ``evaluation.json``, ``evaluation.md``, ``bland_altman.png`` and ``<animal>.gif``.
    """
    files = animal_files(data)
    segmenter, labelling = open_segmenter(network), part(progress, 0.05, 0.95)
    scores = []
    for number, path in enumerate(files):
        labelling(number / len(files), path.name)
        scores.append(score_animal(path, segmenter))
    found = summary(scores)
    made_of = provenance([data], [network.bundle], output=output)
    with atomic_directory(output) as folder:
        write_rows(folder / "animals.csv", rows(scores))
        write_json(folder / "evaluation.json", {"bundle": network.bundle, "groups": found})
        (folder / "evaluation.md").write_text(_page(network.bundle, found), encoding="utf-8")
        bland_altman(scores, folder / "bland_altman.png")
        for score in sorted(scores, key=lambda s: s.mean_dice)[:pictures]:
            write_overlay(folder / f"{score.name}.gif", score.animal.cine, score.labels, score.animal.labels)
        made_of.stamp(folder)
    return Answer(_facts(scores, found) | {"output": str(output)}, _notes(network, scores))


def _warning(bundle: str) -> str:
    return str(bundle_metadata(bundle_path(bundle)).get("warning", ""))


def _facts(scores: list[AnimalScore], found: dict) -> dict[str, object]:
    every = found["all"]
    facts: dict[str, object] = {"animals": len(scores)}
    facts |= {f"dice_{name}": round(every["dice"][name]["mean"], 4) for name in STRUCTURES}
    ef = every["agreement"]["ef_percent"]
    facts |= {"ef_bias_points": round(ef["bias"], 2), "ef_largest_points": round(ef["largest"], 2)}
    return facts | {"seconds_per_animal": round(sum(s.seconds for s in scores) / len(scores), 2)}


def _notes(network: NetworkChoice, scores: list[AnimalScore]) -> tuple[str, ...]:
    warning = _warning(network.bundle)
    odd = [f"{score.name}: {note}" for score in scores for note in score.notes if "drawn" in note]
    return (*((warning,) if warning else ()), *odd)


def _page(bundle: str, found: dict) -> str:
    """The tables as Markdown."""
    text = [f"# {bundle}", ""]
    if warning := _warning(bundle):
        text += [warning, ""]
    for group, facts in found.items():
        text += [
            f"## {group}: {facts['animals']} animals",
            "",
            f"| Dice | {' | '.join(PHASES)} | both |",
            "|---|---|---|---|",
        ]
        for name in STRUCTURES:
            keys = [*(f"{name} {phase}" for phase in PHASES), name]
            text.append(" | ".join([f"| {name}", *(_mean_sd(facts["dice"][key]) for key in keys)]) + " |")
        text += ["", "| found - expert | bias | 95 % limits | r | largest |", "|---|---|---|---|---|"]
        for name, compared in facts["agreement"].items():
            text.append(f"| {name} ({UNITS[name]}) | {_row(compared)} |")
        text.append("")
    return "\n".join(text)


def _mean_sd(values: dict[str, float]) -> str:
    return f"{values['mean']:.3f} \N{PLUS-MINUS SIGN} {values['sd']:.3f}"


def _row(compared: dict) -> str:
    lower, upper, r = compared["lower"], compared["upper"], compared["r"]
    limits = "-" if lower is None else f"{lower:+.2f} to {upper:+.2f}"
    return f"{compared['bias']:+.2f} | {limits} | {'-' if r is None else f'{r:.3f}'} | {compared['largest']:.2f}"
