"""Valve points and annulus motion in the scene: new nodes, or those of an earlier result updated in place.

Everything that touches MRML is in CardiacLib.mrml; here is what belongs to one result of the landmarks module.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from CardiacLandmarksLib.measure.annulus import Annulus
from CardiacLandmarksLib.result import PointsResult
from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.markups import VALVE_ATTRIBUTE, landmarks_to_scene
from CardiacLib.mrml.nodes.segmentations import labels_to_scene
from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.mrml.panel.module_panel import require_in_scene
from CardiacLib.mrml.panel.results import keep_result, require_fit, result_of, take_place
from CardiacLib.mrml.panel.summaries import notes_text
from CardiacLib.mrml.translation import _
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import VALVE_COLOURS

from .annulus import annulus_to_scene
from .summaries import annulus_text, volume_text, weak_measures

LABELS = "4CH labels"
"""Name of the segmentation among the nodes of a result."""


class LandmarkResult(NamedTuple):
    """The point list of each valve that has points, the nodes of tables and chart by name, and what they show; the
    segmentation of the 4CH cine, if there is one."""

    points: Nodes
    tables: Nodes
    annulus: Annulus | None
    notes: tuple[str, ...] = ()
    labels: object = None


def points_to_scene(found: PointsResult, volumes: Nodes, *, name: str = "", output=None) -> LandmarkResult:
    """Put valve points into the scene, in the sequence browser of the cines, and what is measured of them.

    Args:
        found: points at the frames of the cine with the most, and their measures.
        volumes: view (2ch, 3ch, 4ch) to the volume of its cine.
        name: start of the names of new nodes; made from the first volume's name if empty.
        output: one of the point lists of a result to update in place; None makes new nodes.

    Raises:
        InputError: volumes or output were removed meanwhile, or do not belong together, or no point was found at all.
    """
    for volume in volumes.values():
        require_in_scene(volume, _("The cine"))
    if output is not None:
        require_in_scene(output, _("The point list to update"))
        require_fit(output, volumes.values(), found.landmarks.n_frames == 1)
    earlier = result_of(output)
    first = next(iter(volumes.values()))
    name = earlier.facts.get("name") or name or _("{name} valves").format(name=first.GetName())
    browsers = (sequence_of(volume)[0] for volume in volumes.values())
    browser = next((found for found in browsers if found is not None), None)
    made = landmarks_to_scene(found.landmarks, name, browser)
    if not made:
        raise InputError(_("No valve point was found in these cines."))
    found = _over_a_cycle(found)
    made |= _tables(found, name)
    if found.four_chamber is not None:
        made[LABELS] = four_chamber_to_scene(found.four_chamber, name, volumes["4ch"])
    if output is not None:
        made = take_place(earlier.nodes or _as_valve(output), made)
    return keep_points(made, found, name, first)


def four_chamber_to_scene(labels: LabelMap, name: str, volume):
    """Labels of the 4CH cine as a segmentation, hidden: in other views it is a slab across the image.

    Args:
        labels: of all frames of the cine.
        name: start of the node's name.
        volume: of the cine.
    """
    node = labels_to_scene(labels, f"{name} {LABELS}", sequence_of(volume)[0], volume)
    node.GetDisplayNode().SetVisibility(False)
    return node


def measures_to_scene(found: PointsResult, points, volumes: Iterable) -> LandmarkResult:
    """Update the tables of a result by new measures of its point lists, which stay as they are.

    Args:
        found: the measures.
        points: one of the point lists.
        volumes: of the cines.

    Raises:
        InputError: the point list was removed meanwhile.
    """
    require_in_scene(points, _("The point list"))
    earlier, lists = result_of(points), point_lists(points)
    name = earlier.facts.get("name") or points.GetName()
    found = _over_a_cycle(found)
    kept = lists | {LABELS: earlier.nodes[LABELS]} if LABELS in earlier.nodes else lists
    before = {key: node for key, node in earlier.nodes.items() if key not in kept}
    made = kept | take_place(before, _tables(found, name))
    return keep_points(made, found, name, next(iter(volumes), None), earlier.facts.get("volume", ""))


def point_lists(points) -> Nodes:
    """By valve, the point lists of the result that a point list is part of; if it is of none, itself."""
    nodes = result_of(points).nodes or _as_valve(points)
    return {valve: node for valve, node in nodes.items() if valve in VALVE_COLOURS}


def _over_a_cycle(found: PointsResult) -> PointsResult:
    """The same; without measures where there is only one frame."""
    return found if found.landmarks.n_frames > 1 else replace(found, annulus=None)


def keep_points(made: Nodes, found: PointsResult, name: str, first, earlier_volume: str = "") -> LandmarkResult:
    """Remember a result by its point lists, so that it can be measured again and updated.

    Args:
        made: point lists by valve, and the nodes of tables and chart by name.
        found: what they show.
        name: start of the nodes' names.
        first: volume of one of the cines, or None.
        earlier_volume: what is said of the LV of the 4CH view, where it was not measured now.
    """
    points = {valve: made[valve] for valve in VALVE_COLOURS if valve in made}
    volume = volume_text(found.volume) if found.volume else earlier_volume
    summary = f"{annulus_text(found.annulus)} {volume}".strip()
    facts = {"name": name, "summary": summary, "volume": volume, "notes": notes_text(found.notes)}
    facts["summary why"] = weak_measures(found.annulus)
    if found.annulus is not None:
        facts |= {"ed": int(found.annulus.ed), "es": int(found.annulus.es)}
    keep_result(next(iter(points.values())), made, facts, first)
    tables = {key: made[key] for key in made if key not in points and key != LABELS}
    return LandmarkResult(points, tables, found.annulus, found.notes, made.get(LABELS))


def _as_valve(points) -> Nodes:
    """A point list that is part of no result, under the name of the valve that its own attribute tells."""
    return {points.GetAttribute(VALVE_ATTRIBUTE) or "mitral": points}


def _tables(found: PointsResult, name: str) -> Nodes:
    """Nodes of tables and chart; none where nothing was measured."""
    return {} if found.annulus is None else annulus_to_scene(found.annulus.to_dict(), name)
