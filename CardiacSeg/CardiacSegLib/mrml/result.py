"""The result of a segmentation in the scene: new nodes, or those of an earlier result updated in place.

Everything that touches MRML is in CardiacLib.mrml; here is what belongs to one result of the segmentation module.
"""

from collections.abc import Callable
from typing import NamedTuple

from CardiacLib.mrml.nodes.cines import cine_from_node, require_all_frames, shown_frame
from CardiacLib.mrml.nodes.segmentations import labels_to_scene
from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.mrml.panel.module_panel import require_in_scene
from CardiacLib.mrml.panel.processes import JobRequest
from CardiacLib.mrml.panel.results import keep_result, require_fit, result_of, take_place
from CardiacLib.types.labels import LV, LabelMap
from CardiacLib.types.segmentation import Segmentation
from CardiacSegLib.function import Function, end_frames, measure
from CardiacSegLib.quality import QualityReport, assess

from .summaries import segmentation_facts
from .tables import function_to_scene, quality_to_scene


class SegmentationResult(NamedTuple):
    """The segmentation node; for a whole cine also the nodes of tables and charts by name, and what they show."""

    segmentation: object
    tables: dict[str, object]
    function: Function | None
    quality: QualityReport | None = None
    notes: tuple[str, ...] = ()


def segmentation_request(volume, all_frames: bool, options: dict[str, str]) -> JobRequest:
    """The worker's job for a volume in the scene: all its frames, or the one that is shown.

    Raises:
        InputError: the volume cannot be used, or shows one frame of several that are wanted.
    """
    if all_frames:
        require_all_frames(volume)
    cine = cine_from_node(volume) if all_frames else shown_frame(volume)
    return JobRequest("CardiacSegLib", "segment", {"cine": cine}, options)


def segmentation_to_scene(
    volume,
    found: Segmentation,
    name: str,
    papillary: str,
    body: dict | None,
    bundle: str,
    output,
    translate: Callable[[str], str],
) -> SegmentationResult:
    """Put labels into the scene and, of a whole cine, what is measured of them and how good they are.

    Args:
        volume: that was labelled; the segmentation joins its sequence browser.
        found: labels of all frames or of one.
        name: of a new segmentation; made from the volume's name if empty.
        papillary: where volumes and mass count the papillary muscles: cavity or myocardium.
        body: as of ``CardiacLib.mrml.nodes.cines.body_facts``; None where unknown.
        bundle: the network.
        output: segmentation to update in place, with the tables of its result; None makes new nodes.
        translate: of the module.

    Raises:
        InputError: volume or output were removed meanwhile, or do not belong together; the scene is unchanged.
    """
    require_in_scene(volume, translate("The cine"))
    if output is not None:
        require_in_scene(output, translate("The segmentation to update"))
        require_fit(output, [volume], len(found.labels.labels) == 1, translate)
    earlier = result_of(output)
    name = earlier.facts.get("name") or name or translate("{name} segmentation").format(name=volume.GetName())
    segmentation = labels_to_scene(found.labels, name, browser=sequence_of(volume)[0], volume=volume)
    made, function, quality = {"segmentation": segmentation}, None, None
    if len(found.labels.labels) > 1 and found.statistics is not None:
        cine = cine_from_node(volume) if papillary == "myocardium" else None
        function = measure(found.labels, **(body or {}), papillary=papillary, cine=cine, cut=found.cut)
        quality = assess(found.labels, function, found.statistics, bundle)
        made |= function_to_scene(function.to_dict(), name) | {"quality": quality_to_scene(quality.to_dict(), name)}
    notes = (*found.notes, *(function.notes if function else ()))
    facts = {"name": name} | segmentation_facts(function, quality, notes, translate)
    if len(found.labels.labels) == 1:
        facts["time_ms"] = float(found.labels.times_ms[0])  # which frame of the cine it is
    if output is not None:
        made = take_place(earlier.nodes | {"segmentation": output}, made)
        output.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    keep_result(made["segmentation"], made, facts, volume)
    tables = {key: node for key, node in made.items() if key != "segmentation"}
    return SegmentationResult(made["segmentation"], tables, function, quality, notes)


def frame_number(segmentation, labels: LabelMap, which: str) -> int:
    """The number of a frame of a segmentation, from 0.

    Args:
        segmentation: its node.
        labels: all its frames.
        which: ``ed`` (largest LV volume), ``es`` (smallest) or ``shown``.
    """
    if len(labels.labels) == 1:
        return 0
    if which == "shown":
        return sequence_of(segmentation)[0].GetSelectedItemNumber()
    return end_frames(labels.volume_ml(LV))[("ed", "es").index(which)]
