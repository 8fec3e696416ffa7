"""``cineheart mesh`` on many label maps: one folder per case, one table; goes on where it was interrupted."""

import dataclasses
import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from BiVMeshLib.tetra.meshers import require_mesher
from CardiacLib.clock import Clock
from CardiacLib.errors import Cancelled, InputError
from CardiacLib.files import atomic_directory, require_output
from CardiacLib.progress import Progress, silent
from CardiacLib.readers.labels.label_files import find_label_files
from cineheart.cohort.engine import RowTask, Workers, rows_of
from cineheart.cohort.marker import read_marker, same_inputs, write_marker
from cineheart.console import Answer
from cineheart.outputs import MOTION_NAMES, write_mesh
from cineheart.provenance import current_command, remembered

from .mesh import MeshFile, mesh_of_file, provenance_of
from .mesh_table import mesh_row, write_tables

CASE_FILE = "case.json"
"""In each case's folder: its row of the table, and what it was made from."""


@dataclass(frozen=True)
class Case:
    """One label map to mesh; what a worker process gets.

    Attributes:
        name: of the case and of its folder.
        labels: the file. output: the case's folder.
        options: how it is read, meshed and written.
        command: that was given.
    """

    name: str
    labels: Path
    output: Path
    options: MeshFile
    command: tuple[str, ...] = ()

    def made_from(self) -> dict[str, object]:
        """What the result depends on: a finished case of the same is not made again."""
        checksum = hashlib.sha256(self.labels.read_bytes()).hexdigest()
        return dataclasses.asdict(self.options) | {"labels": self.labels.name, "sha256": checksum}


def mesh_batch(
    paths: Sequence[Path],
    output: Path,
    options: MeshFile | None = None,
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> Answer:
    """Mesh every label map and write ``meshes.csv`` and ``meshes.md``; a case that fails has its reason in them.

    Finished cases of an earlier run with the same labels and options are kept, failed ones are tried again.

    Args:
        paths: files, or folders, in which label maps are looked for.
        options: of every case.
        workers: processes at a time, of the engine that ``cineheart batch`` has.

    Raises:
        InputError: a path cannot be used, or Dask is missing for several workers.
    """
    options = options or MeshFile()
    require_output(output)
    require_mesher(options.mesh.options.mesher)
    command = current_command()
    cases = [Case(name, path, output / name, options, command) for name, path in named_cases(paths).items()]
    output.mkdir(parents=True, exist_ok=True)
    rows = {case.name: row for case in cases if (row := finished_row(case)) is not None}
    kept, todo = len(rows), {case.name: case for case in cases if case.name not in rows}
    with closing(rows_of(RowTask(run_case, failed_row, output), todo, Workers(workers), progress)) as made:
        for name, row in made:
            rows[name] = row
            write_tables([rows[case.name] for case in cases if case.name in rows], output)
    ordered = [rows[case.name] for case in cases]
    write_tables(ordered, output)
    failed = [row["case"] for row in ordered if row["status"] != "meshed"]
    below = [row["case"] for row in ordered if row["status"] == "meshed" and row["below"]]
    return Answer({"cases": len(cases), "kept": kept, "failed": failed, "below_a_limit": below})


def named_cases(paths: Sequence[Path]) -> dict[str, Path]:
    """Files by the name of their case: the file's name, and as many of its folders as make it unique.

    Raises:
        InputError: a path does not exist, or a folder holds no label map.
    """
    files: dict[Path, None] = {}
    for path in paths:
        found = find_label_files(path) if path.is_dir() else [path]
        files |= dict.fromkeys(file.resolve() for file in found)
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: does not exist.")
    names: dict[str, Path] = {}
    for file in files:
        stem = file.name.split(".")[0] or file.name
        same = [other for other in files if (other.name.split(".")[0] or other.name) == stem]
        depth = 0
        while len({other.parent.parts[len(other.parent.parts) - depth :] for other in same}) < len(same):
            depth += 1
        names["_".join([*file.parent.parts[len(file.parent.parts) - depth :], stem])] = file
    return names


def finished_row(case: Case) -> dict[str, object] | None:
    """The row of a case that an earlier run meshed from the same labels with the same options."""
    found = read_marker(case.output / CASE_FILE)
    return found[0] if found is not None and same_inputs(found[1], case.made_from()) else None


def run_case(case: Case) -> dict[str, object]:
    """Mesh one case and write its folder; the reason of a failure is in the row, never raised."""
    clock = Clock()
    try:
        made = mesh_of_file(case.labels, case.options)
        row = mesh_row(case.name, made.mesh, clock.elapsed) | {"frame_index": made.frame}
        with atomic_directory(case.output, replace=(CASE_FILE, *MOTION_NAMES)) as folder:
            write_mesh(made, folder, case.options.formats)
            with remembered(case.command):
                made_by = provenance_of(case.labels, case.options, case.output)
            made_by.stamp(folder)
        # Last: a process may be killed at any moment.
        write_marker(case.output / CASE_FILE, row, case.made_from(), provenance=made_by.to_dict())
    except Cancelled:
        raise
    except InputError as error:
        row = failed_row(case, str(error), clock.elapsed)
    except Exception as error:  # one case must not stop the others; what went wrong is in the table
        row = failed_row(case, f"{type(error).__name__}: {error}", clock.elapsed)
    return row


def failed_row(case: Case, reason: str, seconds: float = 0.0) -> dict[str, object]:
    """The row of a case without a mesh."""
    return {"case": case.name, "status": "failed", "seconds": seconds, "reason": reason}
