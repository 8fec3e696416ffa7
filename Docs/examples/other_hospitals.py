"""One manifest of complete labels from one hospital and partial ones from others, to train a short-axis network on.

    python Docs/examples/other_hospitals.py ACDC_FOLDER OTHER_CENTRES_FOLDER hospitals.csv

Held out are every fifth ACDC patient, 15 of the 39 Sunnybrook subjects (SCD) and four of the 12 of the RV challenge
(RVSC). The endocardium of SCD is drawn 1.5 to 2 mm farther out than that of ACDC: there a band of 2 mm on both sides of
the contour is unknown. Sets that may only be evaluated are left out.
"""

import csv
import sys
from dataclasses import replace
from pathlib import Path

from CardiacLib.datasets.acdc import acdc_cases
from CardiacLib.datasets.layouts.manifest import manifest_cases, write_manifest
from CardiacLib.datasets.records import TRAINING, VALIDATION, CaseRecord

RVSC_HELD_OUT = ("P09", "P10", "P11", "P12")
SCD_HELD_OUT = (0, 3, 5, 8, 10)
"""Of every 13 subjects in the order of their names."""
SCD_UNCERTAIN_MM = 2.0


def main(acdc: Path, others: Path, output: Path) -> None:
    """Write the manifest."""
    cases = [replace(case, vendor="", centre="acdc", split=_acdc_split(case)) for case in acdc_cases(acdc)[0]]
    with open(others / "manifest.csv", newline="", encoding="utf-8") as stream:
        allowed = [row["use"] == "training" for row in csv.DictReader(stream)]
    found, problems = manifest_cases(others / "manifest.csv", "cineheart")
    if problems:
        raise SystemExit(f"{problems[0].case}: {problems[0].reason}")
    partial = [case for case, is_allowed in zip(found, allowed, strict=True) if is_allowed]
    scd = sorted({case.subject for case in partial if case.centre == "scd_segnet"})
    held_out = {subject for n, subject in enumerate(scd) if n % 13 in SCD_HELD_OUT} | set(RVSC_HELD_OUT)
    cases += [_with_split(case, held_out) for case in partial]
    write_manifest(output, cases)


def _acdc_split(case: CaseRecord) -> str:
    return VALIDATION if case.fold == 0 else TRAINING


def _with_split(case: CaseRecord, held_out: set[str]) -> CaseRecord:
    split = VALIDATION if case.subject in held_out else TRAINING
    return replace(case, split=split, uncertain_mm=SCD_UNCERTAIN_MM if case.centre == "scd_segnet" else 0.0)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
