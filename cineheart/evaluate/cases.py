"""One evaluated patient as a picture: every slice at ED and ES with found and experts' contours."""

from pathlib import Path

import numpy as np

from CardiacSegLib.evaluate.evaluation import PHASES, Case
from cineheart.report.pictures import CONTOURS, caption, crop_box, dark_figure, draw_level, grey_range, show

MARGIN_MM = 18.0
LEGEND = "expert white; found: LV endocardium red, epicardium green, RV yellow"


def draw_case(case: Case, path: Path) -> None:
    """Found contours in colour over the experts' in white, ED above ES; slices in the order of the file."""
    cine, found, true = case.patient.cine, case.found.labels, case.patient.true.labels
    box = crop_box(((true > 0) | (found > 0)).any((0, 1)), cine.spacing[:2], MARGIN_MM)
    window, count = grey_range(cine.frames), cine.n_slices
    height, width = (n * mm for n, mm in zip((s.stop - s.start for s in box), cine.spacing[1::-1], strict=True))
    side = 1.75
    figure = dark_figure(side * count, 2 * side * height / width + 0.4)
    axes = figure.subplots(2, count, squeeze=False)
    top = 1 - 0.4 / figure.get_figheight()
    figure.subplots_adjust(left=0.002, right=0.998, bottom=0.002, top=top, wspace=0.02, hspace=0.02)
    for t, k in np.ndindex(2, count):
        show(axes[t, k], cine.frames[t, k], box, window, cine.spacing)
        for _, values, colour in CONTOURS:
            draw_level(axes[t, k], np.isin(true[t, k], values).astype(float), box, "white", 1.6)
            draw_level(axes[t, k], np.isin(found[t, k], values).astype(float), box, colour, 1.1)
        caption(axes[t, k], f"{PHASES[t]} {k + 1}")
    title = f"{case.patient.name} ({case.patient.group}), mean Dice {case.mean_dice:.3f}; {LEGEND}"
    figure.text(0.01, 1 - 0.2 / figure.get_figheight(), title, color="white", va="center", fontsize=10)
    figure.savefig(path, dpi=110, facecolor="black")
