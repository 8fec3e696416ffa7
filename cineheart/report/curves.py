"""The volume-time curves."""

import numpy as np

from .pictures import Picture, ink, svg

_LV, _RV = "#d13b3b", "#c99700"


def volume_curves(times_ms, lv_ml, rv_ml, ed: int, es: int) -> Picture:
    """LV and RV volume over time with end-diastole and end-systole marked; arguments (T,) as in ``Function``."""
    from matplotlib.figure import Figure

    times = np.asarray(times_ms, float)
    figure = Figure(figsize=(6.4, 3.3), layout="constrained")
    axes = figure.add_subplot()
    highest = max(float(np.max(lv_ml)), float(np.max(rv_ml)), 1.0)
    for name, values, colour in (("LV", lv_ml, _LV), ("RV", rv_ml, _RV)):
        axes.plot(times, values, color=colour, linewidth=2, marker="o", markersize=3.2, label=name)
        axes.annotate(
            name, (times[-1], values[-1]), xytext=(7, 0), textcoords="offset points", color=colour, va="center",
            fontweight="bold",
        )  # fmt: skip
    for frame, name in ((ed, "ED"), (es, "ES")):
        axes.axvline(times[frame], color=ink(), linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.6)
        axes.text(times[frame], highest * 1.16, name, color=ink(), ha="center", va="top", fontsize=10)
    axes.set_ylim(0, highest * 1.18)
    axes.set_xlabel("Time (ms)", color=ink())
    axes.set_ylabel("Volume (ml)", color=ink())
    axes.tick_params(colors=ink())
    axes.grid(axis="y", color=ink(), alpha=0.12)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(ink())
    return svg(figure, "LV and RV volume over the cardiac cycle")
