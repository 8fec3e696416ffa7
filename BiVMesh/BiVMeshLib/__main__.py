"""``python -m BiVMeshLib job.json``: the meshing worker (see :mod:`CardiacLib.jobs`)."""

import sys

from CardiacLib.bivmesh import BiVMesh, MovingMesh
from CardiacLib.errors import InputError
from CardiacLib.jobs import run_worker
from CardiacLib.labels import LabelMap
from CardiacLib.progress import Progress, part


def mesh_task(labels: LabelMap, mesh_options: dict[str, object], progress: Progress) -> BiVMesh:
    """Mesh one frame.

    ``mesh_options`` are fields of ``MeshOptions``, ``fibre_angles`` as a dict of those of ``FibreOptions``; fields left
    out keep their default.
    """
    from . import build_mesh

    if len(labels.labels) != 1:
        raise InputError(f"{labels.source or 'the labels'}: one frame is meshed, got {len(labels.labels)}; choose one.")
    return build_mesh(labels.labels[0], labels.ijk_to_lps, _options(mesh_options), progress)


def motion_task(labels: LabelMap, frame: int, mesh_options: dict[str, object], progress: Progress) -> MovingMesh:
    """Mesh one frame, counted from 0, and carry the mesh over all frames; ``mesh_options`` as of :func:`mesh_task`."""
    from . import build_mesh
    from .motion import move_mesh

    options = _options(mesh_options)
    mesh = build_mesh(labels.labels[frame], labels.ijk_to_lps, options, part(progress, 0.0, 0.3))
    return move_mesh(mesh, labels, frame, options, progress=part(progress, 0.3, 1.0))


def _options(stated: dict[str, object]):
    from . import FibreOptions, MeshOptions

    angles = FibreOptions(**stated.get("fibre_angles", {}))
    return MeshOptions(**(stated | {"fibre_angles": angles}))


TASKS = {"mesh": mesh_task, "motion": motion_task}

if __name__ == "__main__":
    sys.exit(run_worker(TASKS, sys.argv[1:]))
