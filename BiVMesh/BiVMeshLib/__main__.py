"""``python -m BiVMeshLib job.json``: the worker for meshes and slice propagation (see :mod:`CardiacLib.jobs`)."""

import sys

from CardiacLib.errors import InputError
from CardiacLib.jobs import run_worker
from CardiacLib.progress import Progress, part
from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.segmentation import Segmentation


def mesh_task(
    labels: LabelMap, mesh_options: dict[str, object], progress: Progress, valves: Landmarks | None = None
) -> BiVMesh:
    """Mesh one frame, with its base at the valve points of that frame, if there are any.

    ``mesh_options`` are fields of ``MeshOptions``, ``fibre_angles`` as a dict of those of ``FibreOptions``; fields left
    out keep their default.
    """
    from . import build_mesh

    if len(labels.labels) != 1:
        raise InputError(f"{labels.source or 'the labels'}: one frame is meshed, got {len(labels.labels)}; choose one.")
    points = None if valves is None else valves.points[0]
    return build_mesh(labels.labels[0], labels.ijk_to_lps, _options(mesh_options), progress, points)


def motion_task(
    labels: LabelMap,
    frame: int,
    mesh_options: dict[str, object],
    progress: Progress,
    valves: Landmarks | None = None,
) -> MovingMesh:
    """Mesh one frame, counted from 0, and carry the mesh over all frames, whose valve points are in ``valves``.

    ``mesh_options`` as of :func:`mesh_task`.
    """
    from . import build_mesh
    from .motion import move_mesh

    options = _options(mesh_options)
    points = None if valves is None else valves.points[frame]
    mesh = build_mesh(labels.labels[frame], labels.ijk_to_lps, options, part(progress, 0.0, 0.3), points)
    return move_mesh(mesh, labels, frame, options, valves, part(progress, 0.3, 1.0))


def propagate_task(
    cine: Cine,
    frame: int,
    propagation_options: dict[str, object],
    progress: Progress,
    labels: LabelMap | None = None,
    valves: Landmarks | None = None,
    device: str = "auto",
    backend: str = "auto",
) -> Segmentation:
    """Labels at 1.25 mm of one frame, carried from one slice; see ``propagation.SlicePropagation``.

    ``propagation_options`` are fields of ``PropagationOptions``; ``valves`` has the points of that frame alone, which
    tell the base. The confidence is in the notes only.
    """
    from .propagation import PropagationOptions, SlicePropagation

    progress(0.0, "loading the networks")
    networks = SlicePropagation(device=device, backend=backend)
    points = None if valves is None else valves.points[0]
    found = networks(cine, frame, labels, PropagationOptions(**propagation_options), part(progress, 0.1, 1.0), points)
    return Segmentation(found.labels, None, found.notes)


def _options(stated: dict[str, object]):
    from . import FibreOptions, MeshOptions

    angles = FibreOptions(**stated.get("fibre_angles", {}))
    return MeshOptions(**(stated | {"fibre_angles": angles}))


TASKS = {"mesh": mesh_task, "motion": motion_task, "propagate": propagate_task}

if __name__ == "__main__":
    sys.exit(run_worker(TASKS, sys.argv[1:]))
