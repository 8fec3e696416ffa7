"""How long the panels block Slicer's window, and what memory Apply leaves.

    python Testing/Benchmarks/bench_panels.py

Runs in the panel host on a synthetic short axis of usual size (25 frames, 16 slices of 208 x 208), with a worker that
has its answers ready, so that only the work in Slicer's own process counts. Times are processor time of that process.
"""

import gc
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "Python")]

from panel_hearts import MODULES, SAX_TO_LPS, install_worker  # noqa: E402

from CardiacLib.types.cine import Cine  # noqa: E402
from CardiacLib.types.study import Study  # noqa: E402
from Testing.SlicerHost import SlicerHost  # noqa: E402

APPLIES = 20
WORKER = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "Testing" / "Python")!r}]
import numpy as np
from panel_hearts import heart_labels, measured, meshed, tetrahedron, with_statistics
from CardiacLib.jobs import run_worker
from CardiacLib.types.labels import LabelMap
from cineheart.worker import TASKS

def segment(cine, choice, progress, on_frame):
    labels = np.zeros(cine.frames.shape, np.uint8)
    labels[:, 3:12, 70:130, 70:130] = heart_labels(cine.n_frames).labels
    return measured(with_statistics(LabelMap(labels, cine.ijk_to_lps, cine.times_ms)))

def mesh(labels, choice, valves, progress):
    return meshed(tetrahedron())

sys.exit(run_worker(TASKS | {{"segment": segment, "mesh": mesh}}, sys.argv[1:]))
"""


def main() -> None:
    """Print a table: action, processor time of the click, longest block after it."""
    frames = np.random.default_rng(0).integers(0, 400, (25, 16, 208, 208)).astype(np.float32)
    cine = Cine(frames, SAX_TO_LPS, np.arange(25) * 40.0, "sax", "synthetic")
    with SlicerHost(*MODULES) as host, pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as work:
        install_worker(patch, Path(work), "ready_worker", WORKER)
        host.open_window()
        timed("Load: views into the scene", lambda: add(cine))
        panel = timed("Open Cardiac Segmentation", lambda: host.open_panel("CardiacSeg"))
        memory = {}
        for number in range(1, APPLIES + 1):
            block = click(host, panel, panel.ui.applyButton)
            memory[number] = resident_mb()
            if number in (1, 2):
                print(f"{'Apply' if number == 1 else 'Apply again, in place':28s} {block[0]:5.2f} {block[1]:5.2f}")
        print(f"{'Memory after 2 and 20 Apply':28s} {memory[2]:.0f} MB, {memory[APPLIES]:.0f} MB")
        panel.ui.show3dButton.click()
        block = host.longest_block_s(lambda: panel.ui.show3dButton.text == "Hide 3D", clock=time.process_time)
        print(f"{'Show 3D':28s}       {block:5.2f}")
        mesher = timed("Open Biventricular Mesh", lambda: host.open_panel("BiVMesh"))
        block = click(host, mesher, mesher.ui.applyButton)
        print(f"{'Apply of the mesh':28s} {block[0]:5.2f} {block[1]:5.2f}")
        mesher.ui.exportFolderEdit.currentPath = str(Path(work) / "mesh")
        block = click(host, mesher, mesher.ui.exportButton)
        print(f"{'Export of the mesh':28s} {block[0]:5.2f} {block[1]:5.2f}")
        if host.errors:
            raise RuntimeError(host.errors)


def add(cine: Cine):
    """What loading does in Slicer's process once the worker has read the study."""
    from CardiacLib.mrml.nodes.study_views import show_study
    from CardiacLib.mrml.panel.studies import add_study

    volumes = add_study(Study({"sax": cine}, source="synthetic"))
    show_study(volumes)
    return volumes


def timed(name: str, action):
    """Print the processor time of an action; returns what it gives."""
    began = time.process_time()
    found = action()
    print(f"{name:28s} {time.process_time() - began:5.2f}")
    return found


def click(host, panel, button) -> tuple[float, float]:
    """Processor time of the click and of the longest turn of the event loop until the run has ended."""
    began = time.process_time()
    button.click()
    clicked = time.process_time() - began
    return clicked, host.longest_block_s(lambda: not panel.panel.running, clock=time.process_time)


def resident_mb() -> float:
    """Memory of this process, MB (on Linux as it is now, elsewhere the most it had)."""
    gc.collect()
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
