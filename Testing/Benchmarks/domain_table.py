"""Dice on a scanner that was never trained on: with and without augmentation and adversarial training, over seeds.

    python Testing/Benchmarks/domain_table.py DATA OUT [--subjects 6] [--epochs 8] [--seeds 3]

DATA holds ``acdc_train`` (Siemens, all structures) and ``other_centres`` (Sunnybrook: GE, LV pool); the third domain
are synthetic hearts. Sunnybrook and the synthetic hearts are held out in turn. One small network of whole slices is
trained for every held-out domain, kind and seed; what is done already in OUT/domains.csv is not done again, and the
table is in OUT/domains.md.
"""

import argparse
import csv
import json
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from monai.utils import set_determinism

from CardiacLib.datasets.acdc import acdc_cases
from CardiacLib.datasets.layouts.manifest import manifest_cases, write_manifest
from CardiacLib.datasets.records import CaseRecord
from CardiacLib.networks.bundles import bundle_path, read_config
from CardiacLib.training.adversarial import Adversarial
from CardiacLib.training.engine import train
from CardiacLib.training.options import ONE_CYCLE
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.writers.images import write_cine, write_labels
from CardiacSegLib import open_segmenter
from CardiacSegLib.evaluate.labelled import evaluate_labelled
from CardiacSegLib.train.phantoms import random_phantoms

HELD_OUT = ("GE", "synthetic")
KINDS = {
    "neither": (False, False),
    "augmentation": (True, False),
    "adversarial": (False, True),
    "both": (True, True),
}
"""Whether images are augmented (their style too), and whether the training is adversarial."""
SMALL = {"side": 80, "pixel_mm": 2.4, "batch_size": 8, "learning_rate": 0.003}
"""With AdamW: in some hundred steps SGD with the bundle's momentum of .99 does not come far."""
LEVELS = [8, 16, 32, 64]
WEIGHT = 0.1
STRUCTURES = ("LV", "MYO", "RV")


def cases_of(data: Path, folder: Path, subjects: int) -> Path:
    """A manifest of the first subjects of each domain; the synthetic hearts are made."""
    own = [case for case in acdc_cases(data / "acdc_train")[0] if case.fold != 0]
    # The patients lie in blocks of one diagnosis: taken at even steps.
    names = sorted({case.subject for case in own})
    chosen = {names[n] for n in np.linspace(0, len(names) - 1, subjects).round().astype(int)}
    cases = [case for case in own if case.subject in chosen]
    centre = data / "other_centres" / "training" / "scd_segnet"
    others = sorted({path.name.split("_E")[0] for path in centre.glob("*_E?.nii.gz")})[:subjects]
    for name in others:
        for phase in ("ED", "ES"):
            image, label = (centre / f"{name}_{phase}{end}.nii.gz" for end in ("", "_gt"))
            cases.append(CaseRecord(name, image, label, phase, vendor="GE", structures=("lv",), order="cineheart"))
    for number, phases in enumerate(random_phantoms(subjects, seed=7)):
        for phase, (cine, labels) in zip(("ED", "ES"), phases, strict=True):
            image, label = (folder / "hearts" / f"{number}_{phase}{end}.nii.gz" for end in ("", "_gt"))
            image.parent.mkdir(parents=True, exist_ok=True)
            write_cine(image, cine)
            write_labels(label, labels)
            cases.append(CaseRecord(f"heart{number}", image, label, phase, vendor="synthetic", order="cineheart"))
    path = folder / "cases.csv"
    write_manifest(path, cases)
    return path


def small_bundle(folder: Path, epochs: int, augmented: bool) -> Path:
    """The short-axis bundle of M&Ms-2 with few channels, small windows and perhaps no augmentation."""
    for part in ("configs", "docs"):
        shutil.copytree(bundle_path("mnms2_short_axis") / part, folder / part, dirs_exist_ok=True)
    for name in ("train", "inference"):
        path = folder / "configs" / f"{name}.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        network, count = document["network_def"], len(LEVELS)
        network["filters"], network["deep_supr_num"] = LEVELS, count - 2
        for key in ("kernel_size", "strides", "upsample_kernel_size"):
            network[key] = network[key][: count - (key == "upsample_kernel_size")]
        document |= {"side": SMALL["side"]}
        if name == "train":
            document |= SMALL | {"epochs": epochs}
            document["options"]["schedule"] = ONE_CYCLE
            if not augmented:
                ranges = document["augmentation"]
                document["augmentation"] = {k: v if k == "_target_" else 0.0 for k, v in ranges.items()} | {"flip": 0.0}
                document |= {"matched": 0.0, "synthesised": 0.0}
        path.write_text(json.dumps(document, indent=4), encoding="utf-8")
    return folder


def trained(bundle: Path, cases: Path, held_out: str, adversarial: bool, seed: int) -> Path:
    """Train in place."""
    parser = read_config(bundle, "train", True)
    kind = Adversarial(WEIGHT, held_out_images=True) if adversarial else None
    device = torch.device("cpu")
    values = {"bundle_root": str(bundle), "dataset_dir": str(cases), "output_dir": str(bundle / "training")}
    for name, value in (values | {"device": device, "hold_out": held_out, "seed": seed, "adversarial": kind}).items():
        parser[name] = value
    parser.parse()
    set_determinism(seed)
    train(parser.get_parsed_content("trainer"), bundle)
    return bundle


def accuracy(bundle: Path, cases: Path, held_out: str) -> dict[str, float]:
    """Mean Dice of each drawn structure over the volumes of the held-out domain."""
    segmenter = open_segmenter(NetworkChoice(str(bundle), RunsOn("cpu", "torch"), trust=True))
    own = [case for case in manifest_cases(cases, "auto")[0] if case.vendor == held_out]
    results = evaluate_labelled(own, lambda cine: segmenter.segment(cine).labels.labels)
    rows = [row for result in results for row in result.rows]
    values = {name: [row.dice for row in rows if row.structure == name] for name in STRUCTURES}
    return {name: round(float(np.mean(found)), 4) for name, found in values.items() if found}


def table(rows: list[dict[str, str]]) -> str:
    """Mean and standard deviation over the seeds, and each seed's LV."""
    lines = ["| held out | trained with | LV | MYO | RV | LV, each seed |", "|---|---|---|---|---|---|"]
    for held_out in HELD_OUT:
        for kind in KINDS:
            own = [row for row in rows if row["held_out"] == held_out and row["kind"] == kind]
            values = {name: np.array([float(row[name]) for row in own if row[name]]) for name in STRUCTURES}
            cells = [f"{v.mean():.3f} ± {v.std(ddof=1):.3f}" if len(v) > 1 else "" for v in values.values()]
            each = ", ".join(f"{value:.3f}" for value in values["LV"])
            lines.append(f"| {held_out} | {kind} | {' | '.join(cells)} | {each} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    for name, value in (("--subjects", 6), ("--epochs", 8), ("--seeds", 3)):
        parser.add_argument(name, type=int, default=value)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    cases, done = given.out / "cases.csv", given.out / "domains.csv"
    if not cases.is_file():
        cases = cases_of(given.data, given.out, given.subjects)
    if not done.is_file():
        done.write_text("held_out,kind,seed,LV,MYO,RV,seconds\n", encoding="utf-8")
    for seed in range(given.seeds):
        for held_out in HELD_OUT:
            for kind, (augmented, adversarial) in KINDS.items():
                with open(done, newline="", encoding="utf-8") as stream:
                    rows = list(csv.DictReader(stream))
                if any((row["held_out"], row["kind"], row["seed"]) == (held_out, kind, str(seed)) for row in rows):
                    continue
                start, folder = time.process_time(), given.out / f"{held_out}_{kind}_{seed}"
                bundle = small_bundle(folder, given.epochs, augmented)
                found = accuracy(trained(bundle, cases, held_out, adversarial, seed), cases, held_out)
                cells = [held_out, kind, str(seed), *(str(found.get(name, "")) for name in STRUCTURES)]
                line = ",".join([*cells, f"{time.process_time() - start:.0f}"])
                with open(done, "a", encoding="utf-8") as stream:
                    stream.write(line + "\n")
                print(line, flush=True)
    with open(done, newline="", encoding="utf-8") as stream:
        text = table(list(csv.DictReader(stream)))
    (given.out / "domains.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
