"""A small heart for the panels, a worker that answers at once, and what tests of panels look at."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from BiVMeshLib.result import MeshResult
from CardiacLandmarksLib.result import PointsResult
from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
from CardiacLib.types.choices import SHORT_AXIS_BUNDLE
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, RV, LabelMap
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.segmentation import Segmentation, SliceStatistics
from CardiacLib.types.study import Study
from CardiacSegLib.function import measure
from CardiacSegLib.function.volume_table import label_rows
from CardiacSegLib.quality import assess, mark_measurements
from CardiacSegLib.result import SegmentResult
from cineheart.steps import measure_edited_points

ROOT = Path(__file__).resolve().parents[2]
MODULES = tuple(ROOT / name / f"{name}.py" for name in ("CardiacSeg", "CardiacLandmarks", "BiVMesh"))
DICOM_PLUGIN = ROOT / "CardiacSeg" / "CineHeartDICOMPlugin.py"
SAX_TO_LPS = np.array([[0.0, 1.2, 0.0, -36.0], [-1.2, 0.0, 0.0, 36.0], [0.0, 0.0, 5.4, -24.0], [0.0, 0.0, 0.0, 1.0]])
QUICK_WORKER = """
import subprocess, sys
import numpy as np
from CardiacLib.jobs import run_worker

def part(cine, progress, on_frame):
    on_frame(0, np.full(cine.frames.shape[1:], 1, np.uint8))
    on_frame(1, np.full(cine.frames.shape[1:], 2, np.uint8))
    progress(0.5, "half")
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])

def quick(progress):
    from BiVMeshLib.result import MeshResult
    from CardiacLib.types.bivmesh import BiVMesh

    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    nodes = np.vstack([np.zeros(3), np.eye(3)])
    return MeshResult(BiVMesh(nodes, np.arange(4)[None], np.array([11], np.int32), faces, np.ones(4, np.int32)), 0)

def fetch_weights(name, cache, progress):
    from pathlib import Path
    Path(cache).mkdir(parents=True, exist_ok=True)
    Path(cache, f".{name}.part").write_bytes(b"half of it")
    progress(0.5, "fetched 1.0 MB")
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])

def busy(progress):
    progress(0.5, "half")
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])

sys.exit(run_worker({task.__name__: task for task in (quick, part, fetch_weights, busy)}, sys.argv[1:]))
"""


def install_worker(monkeypatch, folder: Path, name: str, code: str):
    """Make a program the worker of all panels and logics; returns its Worker, for panels that are open already."""
    from CardiacLib.mrml.panel.processes import Worker

    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text(f"import sys\nsys.path[:0] = {[str(path) for path in sys.path]!r}\n")
    (package / "__main__.py").write_text(code)
    worker = Worker(name, folder)
    monkeypatch.setattr(sys.modules["CardiacSeg"], "worker", lambda: worker)
    return worker


def install_quick_worker(monkeypatch, folder: Path):
    """:func:`install_worker` of QUICK_WORKER."""
    return install_worker(monkeypatch, folder, "quick_worker", QUICK_WORKER)


def heart_labels(n_frames: int) -> LabelMap:
    """A small heart, quickly meshed: ellipsoidal LV with wall and a crescent RV; the LV is smallest in the middle."""
    k, j, i = np.meshgrid(np.arange(9), np.arange(60), np.arange(60), indexing="ij")
    x, y, z = (i - 34) * 2.0, (j - 30) * 2.0, (k - 8) * 9.0
    frames = []
    for t in range(n_frames):
        r = 22.0 - 6.0 * np.sin(np.pi * (t / max(n_frames - 1, 1)) ** 1.2)
        lv = (x / r) ** 2 + (y / r) ** 2 + (z / 62) ** 2 < 1
        wall = (x / 32) ** 2 + (y / 32) ** 2 + (z / 72) ** 2 < 1
        rv = ((x + 26) / 30) ** 2 + (y / 34) ** 2 + (z / 60) ** 2 < 1
        frame = np.where(lv, LV, np.where(wall, MYO, np.where(rv, RV, 0)))
        frames.append(frame.astype(np.uint8))
    return LabelMap(np.stack(frames), SAX_TO_LPS, np.arange(n_frames) * 40.0, "synthetic heart")


def heart_cine(n_frames: int = 3) -> Cine:
    """Bright blood, dark wall, grey surroundings, with noise."""
    labels = heart_labels(n_frames)
    frames = np.array([90.0, 300.0, 60.0, 290.0], np.float32)[labels.labels]
    frames += np.random.default_rng(0).normal(0, 6, frames.shape).astype(np.float32)
    return Cine(frames, labels.ijk_to_lps, labels.times_ms, "sax", "synthetic heart")


def tetrahedron(size: float = 1.0) -> BiVMesh:
    """The smallest mesh: one tetrahedron whose surface is all epicardium."""
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    nodes = size * np.vstack([np.zeros(3), np.eye(3)])
    return BiVMesh(nodes, np.arange(4)[None], np.array([11], np.int32), faces, np.ones(4, np.int32))


def logic_of(module: str):
    """The logic of a module that a panel host has loaded."""
    return getattr(sys.modules[module], f"{module}Logic")()


def with_statistics(labels: LabelMap, *notes: str) -> Segmentation:
    """Labels as a network gives them that is sure of every pixel."""
    hard = np.stack([(labels.labels == label).sum((2, 3)) for label in (LV, MYO, RV)], -1).astype(np.float32)
    return Segmentation(labels, SliceStatistics(hard, hard, hard, hard.sum(-1)), notes)


def measured(found: Segmentation) -> SegmentResult:
    """What the worker gives with these labels; without measures where nothing is known of the network."""
    if found.statistics is None:
        return SegmentResult(found, None, None)
    function = measure(found.labels)
    quality = assess(found.labels, function, found.statistics, SHORT_AXIS_BUNDLE)
    marks = mark_measurements(function, found.labels, quality)
    return SegmentResult(found, function, quality, marks, label_rows(function))


def measured_points(landmarks: Landmarks, cines) -> PointsResult:
    """What the worker gives with these points."""
    views = {view: cine for view, cine in cines.items() if view != "sax"}
    return measure_edited_points(landmarks, views)


def meshed(mesh: BiVMesh | MovingMesh) -> MeshResult:
    """What the worker gives with this mesh."""
    return MeshResult(mesh.mesh, mesh.frame, mesh) if isinstance(mesh, MovingMesh) else MeshResult(mesh, 0)


def add_true_results(phantom, mesh) -> dict[str, object]:
    """A phantom's study in the scene, with results of all three modules from its truth; their chief nodes by module."""
    from CardiacLib.mrml.panel.studies import add_study

    volumes = add_study(Study(phantom.cines, source="phantom"))
    views = {view: volume for view, volume in volumes.items() if view != "sax"}
    found = measured(with_statistics(phantom.labels, "A note."))
    segmentation = logic_of("CardiacSeg").addResult(volumes["sax"], found, "heart").segmentation
    points = measured_points(phantom.landmarks, phantom.cines)
    lists = logic_of("CardiacLandmarks").addResult(views, points, "valves").points
    models = logic_of("BiVMesh").addResult(segmentation, meshed(mesh), "mesh")
    return {"CardiacSeg": segmentation, "CardiacLandmarks": lists["mitral"], "BiVMesh": models["VOLUME"]}


def node_names(scene) -> list[str]:
    return sorted(scene.GetNthNode(n).GetName() or "" for n in range(scene.GetNumberOfNodes()))


def living_processes(group: int) -> list[int]:
    """Process ids of a process group that still run half a second after it was killed (unreaped ones do not)."""
    for _ in range(25):
        if not (living := running_processes(group)):
            return []
        time.sleep(0.02)
    return living


def running_processes(group: int) -> list[int]:
    """Process ids of a process group that run now."""
    return [pid for pid, (state, _, of, *_) in _processes() if state != "Z" and int(of) == group]


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Process ids, and what the system states of each: state, parent, group, and more."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stated = path.read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        yield int(path.parent.name), stated.rpartition(")")[2].split()
