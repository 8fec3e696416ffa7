"""What a DICOM report says of a result (:mod:`CardiacLib.writers.dicom_sr`)."""

from dataclasses import replace

from CardiacLib.types.choices import ByHand
from CardiacLib.writers.dicom_sr import ReportedMeasures
from CardiacSegLib.function import set_by_hand
from CardiacSegLib.result import SegmentResult
from cineheart.results import StudyResult


def labels_report(found: SegmentResult, by_hand: ByHand, bundle: str = "") -> ReportedMeasures:
    """What was measured of the labels of a short axis.

    Args:
        found: measured over all its frames, or over the one that there is.
        by_hand: what a person set.
        bundle: the network, if the labels are as it made them.
    """
    values = found.function.to_dict()
    how = [f"Papillary muscles and trabeculae belong to the {found.function.papillary}.", *set_by_hand(by_hand)]
    if found.segmentation.cut is not None:
        how.append("The ventricles end at the planes of their valves.")
    return ReportedMeasures(
        values=values,
        marks=found.marks,
        ranges=found.ranges,
        ed=values["ed_frame_index"],
        es=values["es_frame_index"],
        how=tuple(how),
        bundle=bundle,
    )


def study_report(result: StudyResult, by_hand: ByHand, points_bundle: str) -> ReportedMeasures:
    """What was measured of a study: its labels, and the valve points of its long-axis views.

    Args:
        result: of the study.
        by_hand: what a person set.
        points_bundle: the network of the valve points; empty where a person gave them.
    """
    report = labels_report(result.segmented, by_hand, result.bundle)
    motion = result.annulus.values() if result.annulus else {}
    return replace(report, values={**report.values, **motion}, marks=result.marks, points_bundle=points_bundle)
