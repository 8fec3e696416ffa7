"""The whole way from long-axis cines to valve points in the patient, as the command line and the panel go it."""

import json
from collections.abc import Mapping

import numpy as np

from CardiacLandmarksLib.detect.detector import Detector
from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks, detect_landmarks
from CardiacLandmarksLib.measure.agreement import align_views, compare_views
from CardiacLib.networks.bundles import bundle_path, read_config, require_weights
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.cine import Cine
from CardiacLib.types.landmarks import valve_points


def open_detector(bundle: str = "cineheart_lax_landmarks", device: str = "auto", backend: str = "auto") -> Detector:
    """The detector that a bundle's configuration asks for.

    A bundle that states the side of its pixels (``pixel_mm``) gives heat maps
    (:class:`~CardiacLandmarksLib.detect.heatmaps.HeatmapDetector`), one that does not gives the points themselves
    (:class:`~CardiacLandmarksLib.detect.published.PointDetector`).

    Args:
        bundle: name or folder of a MONAI bundle.
        device: ``auto`` or a torch device name.
        backend: what runs the network, ``auto`` or one of ``CardiacLib.networks.backends.BACKENDS``.

    Raises:
        InputError: bundle, weights, device or backend cannot be used.
    """
    folder = bundle_path(bundle)
    require_weights(folder)  # before MONAI is loaded, which takes seconds
    if "pixel_mm" in read_config(folder, "inference"):
        from CardiacLandmarksLib.detect.heatmaps import HeatmapDetector

        return HeatmapDetector(bundle, device, backend)
    from CardiacLandmarksLib.detect.published import PointDetector

    return PointDetector(bundle, device, backend)


def find_landmarks(
    cines: Mapping[str, Cine],
    bundle: str = "cineheart_lax_landmarks",
    device: str = "auto",
    backend: str = "auto",
    align: bool = False,
    progress: Progress = silent,
) -> StudyLandmarks:
    """Valve points of the 2CH, 3CH and 4CH cines, with a note where the views disagree or the network is unproven.

    Args:
        cines: view to cine.
        bundle, device, backend: as of :func:`~CardiacLandmarksLib.pipeline.open_detector`.
        align: move views of different breath-hold positions together along the LV axis.
        progress: called with the fraction done; may raise ``Cancelled``.

    Raises:
        InputError: no long-axis view, or the network cannot be used.
    """
    progress(0.0, "loading the network")
    found = detect_landmarks(cines, open_detector(bundle, device, backend), part(progress, 0.1, 0.9))
    unproven = unproven_views(bundle, found.views)
    if unproven:
        found = found.with_note(
            f"{' and '.join(view.upper() for view in unproven)}: the network was never validated on real images of "
            "this view; check its points by eye."
        )
    mitral = found.at(np.zeros(1))[0, valve_points("mitral")]
    if len(found.views) < 2 or not np.isfinite(mitral).any():
        return found
    agreement = compare_views({view: points.cine for view, points in found.views.items()}, np.nanmean(mitral, 0))
    if align:
        return align_views(found, agreement)
    warning = agreement.warning()
    return found if warning is None else found.with_note(warning)


def unproven_views(bundle: str, views: Mapping[str, object]) -> list[str]:
    """Those of ``views`` that are not among ``validated_views`` of a bundle's metadata; none if it does not say."""
    metadata = json.loads((bundle_path(bundle) / "configs" / "metadata.json").read_text(encoding="utf-8"))
    validated = metadata.get("validated_views")
    return [] if validated is None else [view for view in views if view not in validated]
