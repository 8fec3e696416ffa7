"""What the worker is given: long-axis cines, and labels of the same study, whose apex is an end of the LV axis."""

from collections.abc import Mapping

from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.cines import cine_from_node, require_all_frames
from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.markups import landmarks_from_nodes
from CardiacLib.mrml.nodes.segmentations import images_of, labels_from_node
from CardiacLib.mrml.panel.processes import JobRequest
from CardiacLib.mrml.panel.results import measured_segmentations
from CardiacLib.mrml.panel.studies import same_study
from CardiacLib.mrml.translation import _
from CardiacLib.types.choices import LandmarkChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap

from .result import point_lists


def points_request(volumes: Nodes, choice: LandmarkChoice) -> JobRequest:
    """The worker's job for volumes in the scene, by view.

    Raises:
        InputError: a volume cannot be used.
    """
    for volume in volumes.values():
        require_all_frames(volume)
    return JobRequest("find_points", {"cines": _cines(volumes), "choice": choice, "labels": study_labels(volumes)})


def measure_request(points, volumes: Nodes) -> JobRequest:
    """The worker's job of measuring point lists as they are in the scene, edits included.

    Args:
        points: one of the point lists of a result.
        volumes: view to volume.

    Raises:
        InputError: there is no volume, or no valve point in the lists.
    """
    if not volumes:
        raise InputError(_("Choose the cines of these points first."))
    landmarks = landmarks_from_nodes(point_lists(points).values())
    arguments = {"landmarks": landmarks, "cines": _cines(volumes), "labels": study_labels(volumes)}
    return JobRequest("measure_points", arguments)


def study_labels(volumes: Nodes) -> LabelMap | None:
    """The labels that Cardiac Segmentation measured last in the study of these volumes; None if there are none."""
    for segmentation in reversed(measured_segmentations()):
        images = images_of(segmentation)
        of_study = [node for node in (segmentation, images) if node is not None]
        if any(same_study(node, volume) for node in of_study for volume in volumes.values()):
            return labels_from_node(segmentation, images)
    return None


def _cines(volumes: Nodes) -> Mapping[str, Cine]:
    return {view: cine_from_node(volume).with_changes(view=view) for view, volume in volumes.items()}
