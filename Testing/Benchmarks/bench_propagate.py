"""Seconds and peak memory of slice propagation of one volume, against the bound of 3 s on two cores.

    python Testing/Benchmarks/bench_propagate.py [IMAGE [LABELS]]

The bound is the published time on a graphics processor (about 3 s; arXiv 1803.11080). Without an image it makes the
phantom. Networks are loaded beforehand; every start is run three times and the best counts, in a process of its own.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / name) for name in ("CardiacSeg", "CardiacLandmarks", "BiVMesh"))]

BOUND_S = 3.0
ROUNDS = 3


def volume(paths: list[str]):
    """Cine, labels on its grid or None, and the frame to propagate in."""
    from CardiacLib.readers import read_image, read_labels

    if paths:
        return read_image(paths[0]), read_labels(paths[1]) if len(paths) > 1 else None, 0
    from CardiacLib.phantom import PhantomOptions, make_phantom

    phantom = make_phantom(PhantomOptions(n_frames=4, lax_size=32))
    return phantom.cines["sax"], phantom.labels, phantom.ed


def bench(start: str, paths: list[str]) -> dict[str, object]:
    """Best seconds, share of the bound, number of slices of 1.25 mm, peak memory of the process."""
    from BiVMeshLib.propagation import SlicePropagation

    cine, labels, frame = volume(paths)
    unit = 1 if sys.platform == "darwin" else 1024  # of the peak memory
    networks = SlicePropagation()
    given = labels if start == "labels" else None
    seconds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        found = networks(cine, frame, given)
        seconds.append(time.perf_counter() - begin)
    return {
        "start": start,
        "seconds": round(min(seconds), 2),
        "share_of_bound": round(min(seconds) / BOUND_S, 2),
        "slices": int((found.labels.labels > 0).any((0, 2, 3)).sum()),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20),
    }


def main() -> None:
    if sys.argv[1:2] == ["--start"]:
        print(json.dumps(bench(sys.argv[2], sys.argv[3:])))
        return
    starts = ["network"] if len(sys.argv) == 2 else ["labels", "network"]
    for start in starts:
        paths = [str(Path(path).resolve()) for path in sys.argv[1:]]
        subprocess.run([sys.executable, __file__, "--start", start, *paths], check=True)


if __name__ == "__main__":
    main()
