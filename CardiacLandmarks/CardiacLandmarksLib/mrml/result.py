"""Valve points and annulus motion in the scene: new nodes, or those of an earlier result updated in place.

Everything that touches MRML is in CardiacLib.mrml; here is what belongs to one result of the landmarks module.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from CardiacLandmarksLib.detect.study_landmarks import from_landmarks
from CardiacLandmarksLib.measure.annulus import Annulus, measure_annulus
from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.cines import cine_from_node
from CardiacLib.mrml.nodes.markups import VALVE_ATTRIBUTE, landmarks_from_nodes, landmarks_to_scene
from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.mrml.panel.module_panel import require_in_scene
from CardiacLib.mrml.panel.results import keep_result, require_fit, result_of, take_place
from CardiacLib.mrml.panel.summaries import notes_text
from CardiacLib.types.landmarks import VALVE_COLOURS, Landmarks

from .annulus import annulus_to_scene
from .summaries import annulus_text


class LandmarkResult(NamedTuple):
    """The point list of each valve that has points, the nodes of tables and chart by name, and what they show."""

    points: dict[str, object]
    tables: dict[str, object]
    annulus: Annulus | None
    notes: tuple[str, ...] = ()


def points_to_scene(
    landmarks: Landmarks, volumes: Mapping[str, object], name: str, output, translate: Callable[[str], str]
) -> LandmarkResult:
    """Put valve points into the scene, in the sequence browser of the cines, and what is measured of them.

    Args:
        landmarks: at the frames of the cine with the most.
        volumes: view (2ch, 3ch, 4ch) to the volume of its cine.
        name: start of the names of new nodes; made from the first volume's name if empty.
        output: one of the point lists of a result to update in place; None makes new nodes.
        translate: of the module.

    Raises:
        InputError: volumes or output were removed meanwhile, or do not belong together, or no point was found at all.
    """
    for volume in volumes.values():
        require_in_scene(volume, translate("The cine"))
    if output is not None:
        require_in_scene(output, translate("The point list to update"))
        require_fit(output, volumes.values(), len(landmarks.points) == 1, translate)
    earlier = result_of(output)
    first = next(iter(volumes.values()))
    name = earlier.facts.get("name") or name or translate("{name} valves").format(name=first.GetName())
    browsers = (sequence_of(volume)[0] for volume in volumes.values())
    browser = next((found for found in browsers if found is not None), None)
    made = landmarks_to_scene(landmarks, name, browser)
    if not made:
        raise InputError(translate("No valve point was found in these cines."))
    tables, annulus = _measure(landmarks, volumes, name)
    if output is not None:
        made = take_place(earlier.nodes or _as_valve(output), made | tables)
    else:
        made |= tables
    notes = (*landmarks.notes, *(annulus.notes if annulus else ()))
    return _keep(made, annulus, notes, name, first, translate)


def measure_again(points, volumes: Mapping[str, object], translate: Callable[[str], str]) -> LandmarkResult:
    """Measure a result's point lists as they are in the scene now, edits included, and update its tables.

    Args:
        points: one of its point lists.
        volumes: view to volume, as of :func:`points_to_scene`.
        translate: of the module.
    """
    earlier = result_of(points)
    lists = {valve: node for valve, node in (earlier.nodes or _as_valve(points)).items() if valve in VALVE_COLOURS}
    name = earlier.facts.get("name") or points.GetName()
    tables, annulus = _measure(landmarks_from_nodes(lists.values()), volumes, name)
    before = {key: node for key, node in earlier.nodes.items() if key not in VALVE_COLOURS}
    notes = annulus.notes if annulus else ()
    first = next(iter(volumes.values()), None)
    return _keep(lists | take_place(before, tables), annulus, notes, name, first, translate)


def _keep(made, annulus, notes, name, first, translate) -> LandmarkResult:
    points = {valve: made[valve] for valve in VALVE_COLOURS if valve in made}
    facts = {"name": name, "summary": annulus_text(annulus, translate), "notes": notes_text(notes, translate)}
    if annulus is not None:
        facts |= {"ed": int(annulus.ed), "es": int(annulus.es)}
    keep_result(next(iter(points.values())), made, facts, first)
    return LandmarkResult(points, {key: made[key] for key in made if key not in points}, annulus, notes)


def _as_valve(points) -> dict[str, object]:
    """A point list that is part of no result, under the name of the valve that its own attribute tells."""
    return {points.GetAttribute(VALVE_ATTRIBUTE) or "mitral": points}


def _measure(landmarks: Landmarks, volumes: Mapping[str, object], name: str):
    """Nodes of tables and chart, and the Annulus; none where there is only one frame or nothing to measure."""
    if len(landmarks.points) < 2 or not volumes:
        return {}, None
    cines = {view: cine_from_node(volume).with_changes(view=view) for view, volume in volumes.items()}
    annulus = measure_annulus(from_landmarks(landmarks, cines))
    return ({}, None) if annulus is None else (annulus_to_scene(annulus.to_dict(), name), annulus)
