"""What ``cineheart evaluate`` says about the quality flags."""

from dataclasses import asdict

from CardiacSegLib.evaluate.evaluation import Case
from CardiacSegLib.quality.calibration import FEWEST_PATIENTS, fit

from . import Section
from .tables import number, table

TITLE = "Quality control"


def quality_section(cases: list[Case]) -> Section:
    """How well the confidence finds segmentations with Dice < 0.85; each patient predicted without itself."""
    if len(cases) < FEWEST_PATIENTS:
        return Section("quality", TITLE, {}, f"Quality control: not measured, needs {FEWEST_PATIENTS} patients.\n")
    found = fit([(case.patient.name, case.segmentation, case.patient.true) for case in cases])
    checks = (
        ("structure, network's own expected Dice", found.uncalibrated),
        ("structure, probable Dice", found.structures),
        ("mean of the structures of a frame", found.means),
        ("heart in one slice", found.slices),
    )
    rows = [
        [name, str(d.count), str(d.bad), number(d.auc, 3), number(d.spearman, 2), number(d.error, 3)]
        for name, d in checks
    ]
    lights = [[light, str(row["patients"]), str(row["with_bad_structure"])] for light, row in found.lights.items()]
    text = [
        "Finding what has Dice < 0.85 without the experts' labels (Docs/QualityControl.md); every patient is judged "
        "with a calibration that was fitted without it.\n",
        table(["what", "number", "bad", "ROC AUC", "rank correlation", "mean error"], rows),
        f"The warning below a probable Dice of {found.calibration.warn_below:.2f} flags {found.flagged:.0%} of the "
        f"structures and catches {'none, as there are none,' if found.caught is None else format(found.caught, '.0%')} "
        "of the bad ones; that limit was chosen on these same predictions.\n",
        table(["traffic light", "patients", "of these with a bad structure"], lights),
    ]
    facts = {name: asdict(found)[name] for name in ("patients", "flagged", "caught", "lights")}
    facts |= {name: getattr(found, name)._asdict() for name in ("uncalibrated", "structures", "means", "slices")}
    return Section("quality", TITLE, facts, "\n".join(text))
