"""``cineheart data join``: several data sets as one manifest, to train and to be judged together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from CardiacLib.datasets.find import find_cases
from CardiacLib.datasets.layouts.manifest import write_manifest
from CardiacLib.datasets.records import TRAINING, CaseRecord
from CardiacLib.datasets.splits import CaseChoice, domain_of, split_of
from CardiacLib.errors import InputError
from CardiacLib.files import require_output
from cineheart.console import Answer


def join_data(
    sources: Sequence[Path], manifest: Path, split_file: Path | None = None, uncertain_mm: Mapping[str, float] = {}
) -> Answer:
    """Write the cases of several data sets to one manifest, each with its split.

    Args:
        sources: folders or manifests; a set that names no centre gets its folder's name.
        manifest: CSV to write.
        split_file: subjects that are held out beside those that a set states, as of ``CaseChoice``; all others of a
            set that states no split and no folds are trained on.
        uncertain_mm: centre or vendor to the distance within which its borders are not trusted.

    Raises:
        InputError: a subject is in two sets, or a centre is in none.
    """
    require_output(manifest.parent)
    cases: list[CaseRecord] = []
    notes: list[str] = []
    for source in sources:
        found = find_cases(source)
        named = [case if domain_of(case) else replace(case, centre=source.resolve().name) for case in found.cases]
        if all(case.fold is not None for case in named):
            splits, how = split_of(named, CaseChoice())
            named = [replace(case, split=splits.get(case.subject, "")) for case in named]
            notes.append(f"{source}: {how}.")
        cases += [replace(case, split=case.split or TRAINING) for case in named]
        notes += [*found.notes, *(f"{p.case}: {p.reason}" for p in found.problems)]
    centres = {case.subject: {domain_of(c) for c in cases if c.subject == case.subject} for case in cases}
    if twice := [subject for subject, several in centres.items() if len(several) > 1]:
        raise InputError(f"{twice[0]}: is a subject of {' and of '.join(sorted(centres[twice[0]]))}; rename one.")
    if split_file is not None:
        splits, _ = split_of(cases, CaseChoice(split_file=str(split_file)))
        cases = [replace(case, split=splits.get(case.subject, case.split)) for case in cases]
    if lacking := set(uncertain_mm) - {domain_of(case) for case in cases}:
        raise InputError(f"'{min(lacking)}' is no centre or vendor of these data.")
    cases = [replace(case, uncertain_mm=uncertain_mm.get(domain_of(case), case.uncertain_mm)) for case in cases]
    write_manifest(manifest, cases)
    counts = Counter(f"{domain_of(case)} {case.split}" for case in cases)
    return Answer({"cases": len(cases), **dict(sorted(counts.items())), "manifest": str(manifest)}, tuple(notes))
