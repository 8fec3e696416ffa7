"""``cineheart data check``: what a data set holds, what does not fit, and its manifest."""

from collections import Counter
from pathlib import Path

from CardiacLib.datasets.check import CheckReport, check_cases
from CardiacLib.datasets.find import find_cases
from CardiacLib.datasets.layouts.manifest import write_manifest
from CardiacLib.datasets.records import DataSet
from CardiacLib.errors import InputError
from CardiacLib.files import require_output
from CardiacLib.progress import Progress, silent
from cineheart.console import Answer


def check_data(source: Path, manifest: Path, order: str, *, progress: Progress = silent) -> Answer:
    """Read every case of a data set and write those that can be used to a manifest.

    Args:
        source: folder, manifest, data list or archive.
        manifest: CSV to write.
        order: of the label values.
        progress: called for each case.

    Raises:
        InputError: there is no case that can be used.
    """
    require_output(manifest.parent)
    found = find_cases(source, order)
    report = check_cases(found, progress)
    if not report.cases:
        raise InputError(f"{source}: none of {len(found.cases)} cases can be used; {report.problems[0].reason}")
    write_manifest(manifest, [case.record for case in report.cases])
    return Answer(_facts(found, report, manifest), (*found.notes, *(f"{p.case}: {p.reason}" for p in report.problems)))


def _facts(found: DataSet, report: CheckReport, manifest: Path) -> dict[str, object]:
    records = [case.record for case in report.cases]
    facts: dict[str, object] = {
        "layout": found.layout,
        "cases": len(records),
        "subjects": len({record.subject for record in records}),
    }
    for name in ("view", "phase", "vendor", "centre", "group", "split"):
        counts = Counter(getattr(record, name) or "not stated" for record in records)
        if set(counts) != {"not stated"}:
            facts[name] = dict(sorted(counts.items()))
    facts["structures"] = dict(Counter(" ".join(record.structures) for record in records))
    facts["mean_volume_ml"] = _mean_volumes(report)
    unknown = sum(case.unknown_slices for case in report.cases)
    facts["slices"] = sum(case.slices for case in report.cases)
    if unknown:
        facts["unknown_slices"] = unknown
    fatal = sum(problem.fatal for problem in report.problems)
    return facts | {"left_out": fatal, "to_be_looked_at": len(report.problems) - fatal, "manifest": str(manifest)}


def _mean_volumes(report: CheckReport) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for case in report.cases:
        for name, volume in case.volumes_ml.items():
            values.setdefault(" ".join(filter(None, (name.upper(), case.record.phase))), []).append(volume)
    return {name: round(sum(v) / len(v), 1) for name, v in sorted(values.items())}
