"""Segmentation, valve points and slice propagation where neither torch nor monai is installed."""

import os
import subprocess
import sys

import numpy as np
import pytest

from CardiacLib.metrics import dice
from CardiacLib.readers.labels.label_files import read_labels
from CardiacLib.types.labels import LV
from CardiacLib.writers.images import write_cine

PROGRAM = """
import importlib.util, json, sys
from pathlib import Path

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "monai"}:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Missing())
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {"torch", "monai"} else found(name, package)
from cineheart.cli import main

folder = Path(sys.argv[1])
image, out = str(folder / "sax.nii.gz"), folder / "out"
codes = [
    main(["segment", image, "-o", str(out / "segment"), "--no-scene", "--json"]),
    main(["landmarks", "--4ch", str(folder / "4ch.nii.gz"), "-o", str(out / "landmarks"), "--json"]),
    main(["propagate", image, "--frame", "0", "-o", str(out / "propagate"), "--json"]),
]
sys.exit(max(codes))
"""


@pytest.mark.slow
def test_everything_that_needs_a_network(little_heart, tmp_path, read_json):
    for view in ("sax", "4ch"):
        write_cine(tmp_path / f"{view}.nii.gz", little_heart.cines[view].only([0, 1]))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    out = tmp_path / "out"
    labels = read_labels(out / "segment" / "labels.nii.gz").labels
    truth = little_heart.labels.labels[[0, 1]]
    assert dice(labels == LV, truth == LV) > 0.87
    points = read_json(out / "landmarks" / "landmarks.json")["frames"][0]["points"]
    found = [name for name, point in points.items() if point is not None]
    assert len(found) >= 3
    true = dict(zip(points, little_heart.landmarks.points[0], strict=True))
    assert max(np.linalg.norm(np.subtract(points[name]["lps_mm"], true[name])) for name in found) < 8
    assert read_json(out / "propagate" / "propagation.json")["mean_confidence"] > 0.7
