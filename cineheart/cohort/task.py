"""One study of a cohort: what a worker process does, and what is left in the study's folder."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from CardiacLib import __version__
from CardiacLib.clock import Clock
from CardiacLib.errors import Cancelled, InputError
from CardiacLib.files import unfinished_folder
from CardiacLib.networks.opened import kept_open
from CardiacLib.progress import silent
from cineheart.outputs import summary_row
from cineheart.pipeline import RunOptions, run_study
from cineheart.provenance import remembered
from cineheart.results import StudyResult

from .marker import read_marker, same_inputs, write_marker
from .studies import CohortStudy
from .thumbnail import THUMBNAIL, write_thumbnail

MARKER = "done.json"
"""In the folder of a study that is done: its row, and what it was made from."""
DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class StudyJob:
    """What a worker gets.

    Attributes:
        study: which.
        output: its folder of results.
        options: as of ``cineheart run``.
        networks: sha256 of the weights that are used.
        command: as it was typed, for the provenance.
    """

    study: CohortStudy
    output: Path
    options: RunOptions
    networks: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def made_from(self) -> dict[str, object]:
        """What the results depend on: a study that was done of the same is not done again."""
        options = json.dumps(asdict(self.chosen), sort_keys=True, default=str)
        return {
            "input": fingerprint(self.study.path),
            "options": hashlib.sha256(options.encode()).hexdigest(),
            "networks": list(self.networks),
            "cineheart": __version__,
        }

    @property
    def chosen(self) -> RunOptions:
        """The options with what the manifest says of the patient."""
        return replace(self.options, patient=self.study.patient.completed_by(self.options.patient))


def fingerprint(path: Path) -> str:
    """Of names, sizes and times of the files of a study; links are followed."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]
    for file in files:
        stat = file.stat()
        name = file.name if file == path else file.relative_to(path).as_posix()
        digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def finished_row(job: StudyJob, *, failed_too: bool = True) -> dict[str, object] | None:
    """The row of a study that an earlier run finished with the same input, networks and options; else None."""
    found = read_marker(job.output / MARKER)
    if found is None or not job.study.path.exists():
        return None
    row, made_from = found
    if not failed_too and row["status"] == FAILED:
        return None
    return row if same_inputs(made_from, job.made_from()) else None


def process_study(job: StudyJob) -> dict[str, object]:
    """Do one study and write its folder, whole or not at all; the reason of a failure is in the row, never raised."""
    clock = Clock()
    job.output.parent.mkdir(parents=True, exist_ok=True)
    work = unfinished_folder(job.output)
    try:
        row = _attempt(job, work, clock)
        made_from = job.made_from() if job.study.path.exists() else {}
        write_marker(work / MARKER, row, made_from)
        shutil.rmtree(job.output, ignore_errors=True)
        os.replace(work, job.output)
        return row
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _attempt(job: StudyJob, work: Path, clock: Clock) -> dict[str, object]:
    try:
        with remembered(job.command), kept_open():
            result = run_study(job.study.path, work / "result", job.chosen, progress=silent)
        for entry in (work / "result").iterdir():
            os.replace(entry, work / entry.name)
        (work / "result").rmdir()
        write_thumbnail(result, work / THUMBNAIL)
        return row_of(job, result, clock.elapsed)
    except Cancelled:
        raise
    except InputError as error:
        reason = str(error)
    except Exception as error:  # one study must not stop the others; what went wrong is in the table
        reason = f"{type(error).__name__}: {error}"
    for entry in work.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return failed_row(job.study, reason, clock.elapsed)


def failed_row(study: CohortStudy, reason: str, seconds: float = 0.0) -> dict[str, object]:
    """The row of a study without results."""
    return {"study": study.name, "status": FAILED, "reason": reason, "seconds": round(seconds, 1)}


def row_of(job: StudyJob, result: StudyResult, seconds: float) -> dict[str, object]:
    """Function, annuli, mesh, lights, times and provenance of a study that was done, one value a column."""
    summary = summary_row(result)
    weak = summary.pop("reasons", "")
    row: dict[str, object] = {"study": job.study.name, "status": DONE, "reason": _missing(result, job.options)}
    row |= {key: value for key, value in summary.items() if key != "study"}
    row |= _annulus(result)
    quality = result.mesh.quality if result.mesh else None
    if quality is not None:
        row |= {
            "mesh_tets": quality.tets,
            "mesh_scaled_jacobian_min": round(quality.shape.scaled_jacobian_min, 3),
            "mesh_lv_pool_ml": round(quality.volumes.lv_pool_ml, 2),
        }
    row |= {"weak": weak, "notes": " ".join((*result.study.notes, *result.notes))}
    row |= {f"seconds_{name.replace(' ', '_')}": round(value, 2) for name, value in result.seconds.items()}
    row |= {"seconds": round(seconds, 1), "network": result.bundle, "cineheart": __version__}
    row |= {f"network_sha256_{number}": digest for number, digest in enumerate(job.networks, 1)}
    return row


def _missing(result: StudyResult, options: RunOptions) -> str:
    return "no mesh" if options.mesh is not None and result.mesh is None else ""


def _annulus(result: StudyResult, names: Sequence[str] = ("mapse_mm", "tapse_mm")) -> dict[str, object]:
    if result.annulus is None:
        return {}
    values, marks = result.annulus.values(), result.annulus.marks
    row: dict[str, object] = {}
    for name in names:
        if values.get(name) is not None:
            row |= {name: round(float(values[name]), 2), f"{name}_light": marks[name].light if name in marks else ""}
    return row
