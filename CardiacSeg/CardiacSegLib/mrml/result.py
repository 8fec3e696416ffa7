"""The result of a segmentation in the scene: new nodes, or those of an earlier result updated in place.

Everything that touches MRML is in CardiacLib.mrml; here is what belongs to one result of the segmentation module.
"""

from typing import NamedTuple

from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.cines import cine_from_node, require_all_frames, shown_frame
from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.segmentations import images_of, labels_from_node, labels_to_scene
from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.mrml.panel.module_panel import require_in_scene
from CardiacLib.mrml.panel.processes import JobRequest
from CardiacLib.mrml.panel.results import keep_result, require_fit, result_of, take_place
from CardiacLib.mrml.translation import _
from CardiacLib.types.choices import SegmentChoice
from CardiacLib.types.labels import LV, LabelMap
from CardiacSegLib.function import Function, end_frames
from CardiacSegLib.quality import QualityReport
from CardiacSegLib.result import SegmentResult

from .summaries import segmentation_facts
from .tables import function_to_scene, quality_to_scene, volumes_to_scene


class SegmentationResult(NamedTuple):
    """The segmentation node; for a whole cine also the nodes of tables and charts by name, and what they show."""

    segmentation: object
    tables: Nodes
    function: Function | None
    quality: QualityReport | None = None
    notes: tuple[str, ...] = ()


def segmentation_request(volume, choice: SegmentChoice, *, all_frames: bool) -> JobRequest:
    """The worker's job for a volume in the scene: all its frames, or the one that is shown.

    Raises:
        InputError: the volume cannot be used, or shows one frame of several that are wanted.
    """
    if all_frames:
        require_all_frames(volume)
    cine = cine_from_node(volume) if all_frames else shown_frame(volume)
    return JobRequest("segment", {"cine": cine, "choice": choice})


def segmentation_to_scene(volume, found: SegmentResult, *, name: str = "", output=None) -> SegmentationResult:
    """Put labels into the scene and, of a whole cine, what is measured of them and how good they are.

    Args:
        volume: that was labelled; the segmentation joins its sequence browser.
        found: labels of all frames or of one, and their measures.
        name: of a new segmentation; made from the volume's name if empty.
        output: segmentation to update in place, with the tables of its result; None makes new nodes.

    Raises:
        InputError: volume or output were removed meanwhile, or do not belong together; the scene is unchanged.
    """
    labels = found.segmentation.labels
    one_frame = len(labels.labels) == 1
    require_in_scene(volume, _("The cine"))
    if output is not None:
        require_in_scene(output, _("The segmentation to update"))
        require_fit(output, [volume], one_frame)
    earlier = result_of(output)
    name = earlier.facts.get("name") or name or _("{name} segmentation").format(name=volume.GetName())
    segmentation = labels_to_scene(labels, name, browser=sequence_of(volume)[0], volume=volume)
    made = {"segmentation": segmentation}
    made |= _tables(found, name)
    facts = {"name": name} | segmentation_facts(found)
    if one_frame and labels.times_ms is not None:
        facts["time_ms"] = float(labels.times_ms[0])  # which frame of the cine it is
    if output is not None:
        made = take_place(earlier.nodes | {"segmentation": output}, made)
        output.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    keep_result(made["segmentation"], made, facts, volume)
    tables = {key: node for key, node in made.items() if key != "segmentation"}
    return SegmentationResult(made["segmentation"], tables, found.function, found.quality, found.notes)


def _tables(found: SegmentResult, name: str) -> Nodes:
    """New tables and charts of what was measured over the cycle; of one frame there is nothing."""
    if found.segmentation.labels.n_frames == 1:
        return {}
    made: Nodes = {}
    if found.function is not None:
        made |= function_to_scene(found.function.to_dict(), name, found.marks, found.ranges)
        if found.volumes:
            made["table of volumes"] = volumes_to_scene(found.volumes, name, found.function.species)
    if found.quality is not None:
        made["quality"] = quality_to_scene(found.quality.to_dict(), name)
    return made


def measure_request(segmentation, volume, choice: SegmentChoice) -> JobRequest:
    """The worker's job of measuring a segmentation as it is in the scene, edits included.

    Args:
        segmentation: of all frames or of one.
        volume: its cine; None takes the one that it was made on.
        choice: how it is measured, and what a person set.

    Raises:
        InputError: its cine is not known, or has another number of frames.
    """
    volume = images_of(segmentation) or volume
    if volume is None:
        raise InputError(_("Choose the cine of this segmentation first."))
    labels = labels_from_node(segmentation, volume)
    cine = cine_from_node(volume) if labels.n_frames > 1 else shown_frame(volume)
    if cine.n_frames != labels.n_frames:
        text = _("'{name}' has {frames} frames, its cine {count}; choose the cine that it was made of.")
        raise InputError(text.format(name=segmentation.GetName(), frames=labels.n_frames, count=cine.n_frames))
    return JobRequest("measure_labels", {"labels": labels, "cine": cine, "choice": choice})


def measures_to_scene(found: SegmentResult, segmentation) -> SegmentationResult:
    """Update the tables of a result by new measures of its segmentation, which stays as it is.

    Args:
        found: the measures.
        segmentation: the node that was measured.

    Raises:
        InputError: the segmentation was removed meanwhile.
    """
    require_in_scene(segmentation, _("The segmentation"))
    earlier = result_of(segmentation)
    name = earlier.facts.get("name") or segmentation.GetName()
    made = _tables(found, name)
    before = {key: node for key, node in earlier.nodes.items() if key != "segmentation"}
    tables = take_place(before, made)
    facts = {"name": name} | segmentation_facts(found)
    if "time_ms" in earlier.facts:
        facts["time_ms"] = earlier.facts["time_ms"]
    keep_result(segmentation, {"segmentation": segmentation} | tables, facts, images_of(segmentation))
    return SegmentationResult(segmentation, tables, found.function, found.quality, found.notes)


def frame_number(segmentation, labels: LabelMap, which: str) -> int:
    """The number of a frame of a segmentation, from 0.

    Args:
        segmentation: its node.
        labels: all its frames.
        which: ``shown``; or ``ed``, ``es`` as they were measured or set by hand, else of the largest and the smallest
            LV volume.
    """
    if len(labels.labels) == 1:
        return 0
    if which == "shown":
        return sequence_of(segmentation)[0].GetSelectedItemNumber()
    measured = result_of(segmentation).facts.get(which)
    if isinstance(measured, int) and measured < labels.n_frames:
        return measured
    return end_frames(labels.volume_ml(LV))[("ed", "es").index(which)]
