"""Two judges of labels without a truth: the network's calibrated confidence, and an autoencoder of experts' labels.

    python Testing/Benchmarks/quality_by_reconstruction.py DATA OUT [--epochs 30]

The autoencoder (latent 100) learns to give back the experts' labels of ACDC's training patients, slice by slice and
without images; labels that no expert draws come back changed, so the Dice of labels with what comes back is a surrogate
of their Dice with the truth. Both judges are compared with the true Dice of ``cineheart_sax`` on ACDC's validation
patients, on the two sets of ``other_centres/external``, and on these with noise and blur, structure by structure and
frame by frame. DATA holds
``acdc_train`` and ``other_centres``; OUT gets the weights, ``reconstruction.csv`` and ``reconstruction.json``.
"""

import argparse
import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import VarAutoEncoder
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata
from torch.nn import functional

from CardiacLib.datasets.acdc import acdc_cases
from CardiacLib.datasets.hearts import LabelledHeart, read_hearts
from CardiacLib.datasets.layouts.manifest import manifest_cases
from CardiacLib.datasets.records import NAMES, UNKNOWN, CaseRecord
from CardiacLib.types.choices import SHORT_AXIS_BUNDLE, NetworkChoice
from CardiacSegLib import open_segmenter
from CardiacSegLib.evaluate.labelled import compare_heart
from CardiacSegLib.quality.accuracy import detection
from CardiacSegLib.quality.confidence import expected_dice, load_calibration

SIDE, PIXEL_MM = 64, 2.5
LATENT = 100
BATCH = 32
CLASSES = 4
SPOILT = "external, spoilt"


def network() -> VarAutoEncoder:
    """Without sampling: its mean is the code."""
    return VarAutoEncoder(2, (CLASSES, SIDE, SIDE), CLASSES, LATENT, (16, 32, 64), (2, 2, 2), use_sigmoid=False)


def given_back(model: VarAutoEncoder, labels: torch.Tensor) -> torch.Tensor:
    """Logits (N, 4, H, W) of one-hot labels (N, 4, H, W)."""
    return model.decode_forward(model.encode_forward(labels)[0], use_sigmoid=False)


def windows(labels: np.ndarray, spacing: np.ndarray) -> torch.Tensor:
    """Labels (K, J, I) as shares of classes (K, 4, SIDE, SIDE) at PIXEL_MM, the heart in the middle."""
    stack = torch.from_numpy(np.where(labels == UNKNOWN, 0, labels).astype(np.int64))
    shares = functional.one_hot(stack, CLASSES).permute(0, 3, 1, 2).float()
    middle = np.argwhere(labels.any(0) & (labels != UNKNOWN).any(0)).mean(0)
    grid = torch.empty(SIDE, SIDE, 2)
    steps = (torch.arange(SIDE) - (SIDE - 1) / 2) * PIXEL_MM
    for axis, (count, mm) in enumerate(zip(labels.shape[:0:-1], spacing[:2], strict=True)):
        places = float(middle[1 - axis]) + steps / float(mm)
        values = (2 * places + 1) / count - 1
        grid[..., axis] = values[None, :] if axis == 0 else values[:, None]
    shown = functional.grid_sample(shares, grid.expand(len(stack), -1, -1, -1), align_corners=False)
    shown[:, 0] += 1 - shown.sum(1)  # outside of the image is background
    return shown


def experts_slices(cases: list[CaseRecord]) -> torch.Tensor:
    """All slices with heart."""
    parts = []
    for heart in read_hearts(cases):
        parts += [windows(labels, heart.cine.spacing) for labels in heart.labels]
    found = torch.cat(parts)
    return found[found[:, 1:].sum((1, 2, 3)) > 4]


def learn(slices: torch.Tensor, epochs: int) -> VarAutoEncoder:
    """Trained on turned, mirrored, zoomed and moved slices."""
    torch.manual_seed(20261129)
    model, loss = network(), DiceCELoss(include_background=False, softmax=True, batch=True)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    steps = epochs * -(-len(slices) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for epoch in range(epochs):
        sums = []
        for index in torch.randperm(len(slices)).split(BATCH):
            count = len(index)
            turn, zoom = torch.rand(count) * 2 * torch.pi, torch.exp((torch.rand(count) - 0.5) * 0.5)
            mirror = torch.randint(0, 2, (count,)) * 2.0 - 1.0
            matrix = torch.zeros(count, 2, 3)
            matrix[:, 0, 0], matrix[:, 0, 1] = turn.cos() * mirror * zoom, -turn.sin() * zoom
            matrix[:, 1, 0], matrix[:, 1, 1] = turn.sin() * mirror * zoom, turn.cos() * zoom
            matrix[:, :, 2] = 0.1 * torch.randn(count, 2)
            grid = functional.affine_grid(matrix, (count, CLASSES, SIDE, SIDE), align_corners=False)
            shown = functional.grid_sample(slices[index], grid, align_corners=False)
            shown[:, 0] += 1 - shown.sum(1)
            value = loss(given_back(model, shown), shown)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
            sums.append(float(value.detach()))
        print(f"epoch {epoch + 1} of {epochs}  loss {np.mean(sums):.4f}  {time.process_time():.0f} s", flush=True)
    return model.eval()


@torch.inference_mode()
def surrogate(model: VarAutoEncoder, labels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(3,) Dice of labels (K, J, I) with what the autoencoder makes of them; NaN where there are none."""
    if not (labels > 0).any():
        return np.full(len(NAMES), np.nan)
    shown = windows(labels, spacing)
    found, back = shown.argmax(1), given_back(model, shown).argmax(1)
    values = []
    for label in NAMES.values():
        a, b = found == label, back == label
        values.append(float(2 * (a & b).sum() / (a.sum() + b.sum())) if a.any() else np.nan)
    return np.array(values)


def judged(data_set: str, hearts: Iterator[LabelledHeart], model: VarAutoEncoder) -> Iterator[dict[str, object]]:
    """A row for each drawn structure of each frame: both judges and the true Dice."""
    segmenter, (calibration, _) = open_segmenter(NetworkChoice()), load_calibration(SHORT_AXIS_BUNDLE)
    for heart in hearts:
        made = segmenter.segment(heart.cine)
        found = made.labels.labels
        probable = calibration.dice(expected_dice(made.statistics))
        true = {(row.phase, row.structure): row.dice for row in compare_heart(heart, found)}
        for t, record in enumerate(heart.records):
            again = surrogate(model, found[t], heart.cine.spacing)
            phase = record.phase or f"frame {t if record.frame is None else record.frame}"
            for n, name in enumerate(NAMES):
                dice = true.get((phase, name.upper()))
                if dice is not None and np.isfinite(probable[t, n]) and np.isfinite(again[n]):
                    row = {"set": data_set, "subject": record.subject, "phase": phase, "structure": name.upper()}
                    yield row | {"dice": dice, "confidence": float(probable[t, n]), "reconstruction": float(again[n])}


def spoilt(hearts: Iterator[LabelledHeart]) -> Iterator[LabelledHeart]:
    """Two frames of every heart with noise, and blurred: few volumes of good images are bad, but these are."""
    for heart in hearts:
        frames = sorted({0, heart.cine.n_frames // 2})
        records, labels = tuple(heart.records[t] for t in frames), heart.labels[frames]
        images = heart.cine.only(frames).frames.astype(np.float32)
        noise = np.random.default_rng(0).normal(0, 0.25 * np.percentile(images, 99), images.shape)
        for changed in (np.abs(images + noise), gaussian_filter(images, (0, 0, 3, 3))):
            cine = heart.cine.only(frames).with_changes(frames=changed.astype(np.float32))
            yield LabelledHeart(records, cine, labels)


def judge_of(rows: list[dict[str, object]]) -> dict[str, object]:
    """Both judges, and the mean of their ranks, as predictors of the Dice."""
    columns = {name: np.array([row[name] for row in rows]) for name in ("dice", "confidence", "reconstruction")}
    dice = columns.pop("dice")
    columns["mean of ranks"] = sum(rankdata(values) for values in columns.values()) / (2 * len(dice))
    found = {name: detection(values, dice) for name, values in columns.items()}
    named = {name: {"auc": f.auc, "spearman": f.spearman, "error": f.error} for name, f in found.items()}
    return {"structures": len(dice), "bad": int((dice < 0.85).sum())} | named


def main() -> None:
    """Train if there are no weights yet, judge, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=30)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    cases, weights = acdc_cases(given.data / "acdc_train")[0], given.out / "autoencoder.pt"
    if not weights.is_file():
        slices = experts_slices([case for case in cases if case.fold != 0])
        print(f"{len(slices)} slices", flush=True)
        torch.save(learn(slices, given.epochs).state_dict(), weights)
    model = network().eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    others = manifest_cases(given.data / "other_centres" / "manifest.csv", "auto")[0]
    external = [case for case in others if "external" in case.image.parts]
    sets = {"ACDC": [case for case in cases if case.fold == 0]}
    sets |= {
        name: [c for c in external if name in c.image.parts] for name in sorted({c.image.parent.name for c in external})
    }
    rows = [row for name, own in sets.items() for row in judged(name, read_hearts(own), model)]
    rows += judged(SPOILT, spoilt(read_hearts(external)), model)
    # The wall of heart4d is drawn by another convention, 2 mm farther out: its pool alone is a truth.
    rows = [row for row in rows if row["set"] == "ACDC" or row["structure"] == "LV"]
    with open(given.out / "reconstruction.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    parts = {name: [row for row in rows if row["set"] == name] for name in (*sets, SPOILT)}
    summary = {name: judge_of(own) for name, own in parts.items()}
    (given.out / "reconstruction.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
