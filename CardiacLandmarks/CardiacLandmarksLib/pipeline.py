"""The whole way from long-axis cines to valve points in the patient, as the command line and the panel go it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from CardiacLandmarksLib.detect.detector import Detector
from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks, detect_landmarks
from CardiacLandmarksLib.measure.agreement import align_views, compare_views
from CardiacLib.networks.bundles import bundle_metadata, bundle_path
from CardiacLib.networks.opened import runner_of
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import LANDMARK_BUNDLE, LandmarkChoice, NetworkChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.landmarks import valve_points


def open_detector(choice: NetworkChoice = NetworkChoice(LANDMARK_BUNDLE)) -> Detector:
    """The detector that a bundle asks for by ``runner`` in its ``metadata.json``.

    A bundle that asks for none gives the points themselves
    (:class:`~CardiacLandmarksLib.detect.published.PointDetector`).

    Raises:
        InputError: bundle, weights, device or backend cannot be used.
    """
    return runner_of(choice, "CardiacLandmarksLib", "CardiacLandmarksLib.detect.published.PointDetector")(choice)


def find_landmarks(
    cines: Mapping[str, Cine], choice: LandmarkChoice = LandmarkChoice(), *, progress: Progress = silent
) -> StudyLandmarks:
    """Valve points of the 2CH, 3CH and 4CH cines, with a note where the views disagree or the network is unproven.

    Args:
        cines: view to cine.
        choice: network, and whether views of different breath-hold positions are moved together along the LV axis.
        progress: called with the fraction done; may raise ``Cancelled``.

    Raises:
        InputError: no long-axis view, or the network cannot be used.

    Example:
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom
        >>> phantom = make_phantom(PhantomOptions.small())
        >>> found = find_landmarks({"4ch": phantom.cines["4ch"]})
        >>> found.landmarks().points.shape  # frame, point, LPS in mm
        (8, 10, 3)
    """
    progress(0.0, "loading the network")
    found = detect_landmarks(cines, open_detector(choice.network), part(progress, 0.1, 0.9))
    unproven = unproven_views(choice.network.bundle, found.views)
    if unproven:
        found = replace(found, unproven=tuple(unproven)).with_note(
            f"{' and '.join(view.upper() for view in unproven)}: the network was never validated on real images of "
            "this view; check its points by eye."
        )
    mitral = found.at(np.zeros(1))[0, valve_points("mitral")]
    if len(found.views) < 2 or not np.isfinite(mitral).any():
        return found
    agreement = compare_views({view: points.cine for view, points in found.views.items()}, np.nanmean(mitral, 0))
    if choice.align:
        return align_views(found, agreement)
    warning = agreement.warning()
    return found if warning is None else found.with_note(warning)


def unproven_views(bundle: str, views: Mapping[str, object]) -> list[str]:
    """Those of ``views`` that are not among ``validated_views`` of a bundle's metadata; none if it does not say."""
    validated = bundle_metadata(bundle_path(bundle)).get("validated_views")
    return [] if validated is None else [view for view in views if view not in validated]
