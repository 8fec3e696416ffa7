"""``python -m BiVMeshLib job.json``: the meshing worker (see :mod:`CardiacLib.jobs`)."""

import sys

from CardiacLib.bivmesh import BiVMesh
from CardiacLib.errors import InputError
from CardiacLib.jobs import run_worker
from CardiacLib.labels import LabelMap
from CardiacLib.progress import Progress


def mesh_task(labels: LabelMap, mesh_options: dict[str, object], progress: Progress) -> BiVMesh:
    """Mesh one frame. ``mesh_options`` are fields of ``MeshOptions``; fields left out keep their default."""
    from . import MeshOptions, build_mesh

    if len(labels.labels) != 1:
        raise InputError(f"{labels.source or 'the labels'}: one frame is meshed, got {len(labels.labels)}; choose one.")
    return build_mesh(labels.labels[0], labels.ijk_to_lps, options=MeshOptions(**mesh_options), progress=progress)


TASKS = {"mesh": mesh_task}

if __name__ == "__main__":
    sys.exit(run_worker(TASKS, sys.argv[1:]))
