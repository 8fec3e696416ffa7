"""The Slice propagation section of the mesh panel: one slice's labels carried through the stack, as a segmentation."""

import json
from collections.abc import Callable

import numpy as np

from BiVMeshLib.propagation import Propagation
from BiVMeshLib.result import PropagateChoice
from CardiacLib.errors import InputError
from CardiacLib.geometry import apply
from CardiacLib.mrml.nodes.cines import cine_from_node
from CardiacLib.mrml.nodes.frames import to_array, world_transform
from CardiacLib.mrml.nodes.hierarchy import place_beside
from CardiacLib.mrml.nodes.segmentations import images_of, labels_from_node, labels_to_scene
from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.mrml.panel.consent import ask_for_licence
from CardiacLib.mrml.panel.controls import set_enabled
from CardiacLib.mrml.panel.dependencies import ensure_dependencies
from CardiacLib.mrml.panel.module_panel import ModulePanel, errors_shown, require_in_scene
from CardiacLib.mrml.panel.networks import licence_text
from CardiacLib.mrml.panel.processes import JobRequest
from CardiacLib.mrml.panel.results import take_place
from CardiacLib.mrml.panel.summaries import notes_text
from CardiacLib.mrml.translation import _
from CardiacLib.types.choices import PROPAGATION_BUNDLE
from CardiacLib.types.labels import LabelMap

from .choices import propagate_choice
from .motion import at_phases, valve_points_of

NOTES_ATTRIBUTE = "CineHeart.propagated"
"""JSON of the notes of a propagation, on the segmentation that it made."""
SOURCE = "CineHeart.propagatedFrom"
"""Node reference of that segmentation to the one that was propagated."""
PHASE = "CineHeart.phase"
"""Share of the beat, 0 to 1, at which its frame lies: valve points of that phase belong to it."""
SHORT_AXIS_VIEW = "vtkMRMLSliceNodeRed"


def propagation_request(
    segmentation,
    volume,
    frame_of: Callable[[LabelMap], int],
    choice: PropagateChoice | None = None,
    valves=None,
) -> JobRequest:
    """The worker's job: propagate one slice of a segmentation through its images.

    Args:
        segmentation: of the short axis, or the proxy of a sequence.
        volume: its images, or their proxy; None for the volume that the segmentation was made on.
        frame_of: gives the frame to work on, counted from 0, of labels of all frames; labels of one frame belong to
            the frame of the images that is shown.
        choice: slices, and what runs the networks.
        valves: point list of Cardiac Landmarks, whose points of the beat tell the base where no slice is chosen.

    Raises:
        InputError: the segmentation does not know its images, or nodes cannot be read.
    """
    volume = volume or images_of(segmentation)
    if volume is None:
        raise InputError(f"'{segmentation.GetName()}': choose the images that it was made on.")
    labels, browser = labels_from_node(segmentation, volume), sequence_of(volume)[0]
    one = len(labels.labels) == 1
    frame = (browser.GetSelectedItemNumber() if browser is not None else 0) if one else frame_of(labels)
    cine = cine_from_node(volume)
    phase = np.array([frame / cine.n_frames])
    points = None if valves is None else at_phases(valve_points_of(valves), phase).points[0]
    arguments = {"cine": cine, "frame": frame, "choice": choice or PropagateChoice(), "labels": labels}
    return JobRequest("propagate", arguments | {"valves": points})


def phase_of(request: JobRequest) -> float:
    """Share of the beat at which the frame of a :func:`propagation_request` lies."""
    return request.arguments["frame"] / request.arguments["cine"].n_frames


def known_phase(segmentation) -> float | None:
    """Share of the beat at which the frame of a propagation's result lies; None of other segmentations."""
    stated = segmentation.GetAttribute(PHASE)
    return None if stated is None else float(stated)


def shown_slice(volume) -> int:
    """The slice (k) of a short-axis volume that lies nearest to the middle of the red slice view.

    Raises:
        InputError: there is no such view, or it shows a place beside the stack.
    """
    import slicer

    view = slicer.mrmlScene.GetNodeByID(SHORT_AXIS_VIEW)
    if view is None:
        raise InputError("There is no red slice view; type the slice's number.")
    centre = to_array(view.GetSliceToRAS())[:3, 3]
    k = int(np.rint(apply(np.linalg.inv(_ijk_to_ras(volume)), centre)[2]))
    count = volume.GetImageData().GetDimensions()[2]
    if not 0 <= k < count:
        raise InputError(f"The red slice view shows no slice of '{volume.GetName()}'; scroll to one.")
    return k


def _ijk_to_ras(volume) -> np.ndarray:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return world_transform(volume) @ to_array(matrix)


def propagation_to_scene(found: Propagation, segmentation, *, phase: float, output=None):
    """Add the worker's labels at 1.25 mm as a segmentation of its own, which remembers what was propagated.

    Args:
        found: of one frame.
        segmentation: that was propagated.
        phase: share of the beat at which the frame lies.
        output: an earlier result to update in place; None makes a new node.

    Returns:
        the segmentation node.

    Raises:
        InputError: segmentation or output were removed meanwhile.
    """
    require_in_scene(segmentation, _("The segmentation"))
    name = _("{name} propagated").format(name=segmentation.GetName())
    if output is not None:
        require_in_scene(output, _("The result to update"))
        name = output.GetName()
    node = labels_to_scene(found.labels, name)
    if output is not None:
        node = take_place({"propagated": output}, {"propagated": node})["propagated"]
    node.SetAttribute(NOTES_ATTRIBUTE, json.dumps(found.notes))
    node.SetAttribute(PHASE, repr(phase))
    node.SetNodeReferenceID(SOURCE, segmentation.GetID())
    place_beside([node], segmentation)
    return node


def last_propagation(segmentation):
    """The latest result of propagating a segmentation, or itself where it is such a result; None if there is none."""
    import slicer

    scene = slicer.mrmlScene
    if segmentation is None or segmentation.GetAttribute(NOTES_ATTRIBUTE) is not None:
        return segmentation
    count = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    nodes = [scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode") for number in range(count)]
    made = [node for node in nodes if node.GetNodeReference(SOURCE) is segmentation]
    return made[-1] if made else None


class PropagationSection:
    """Drives the propagation's widgets of the mesh panel: ``propagatedSelector``, two buttons and two labels.

    A result becomes the segmentation to mesh. Propagate then starts from what it was made of again and updates it; to
    propagate the result itself, the user chooses to create a new one.

    Args:
        panel: that the widgets belong to: its ``logic`` has ``makePropagationRequest``, its parameters
            ``inputSegmentation``, ``valvePoints``, ``propagationVolume``, ``frame``, ``startSlice``, ``baseSlice`` and
            ``propagated``.
    """

    def __init__(self, panel: ModulePanel):
        self._panel, self._ui = panel, panel.ui
        self._ui.licenceLabel.text = licence_text(PROPAGATION_BUNDLE)  # the other network has the same licence
        self._ui.propagatedSelector.addAttribute("vtkMRMLSegmentationNode", NOTES_ATTRIBUTE, None)
        self._ui.propagateButton.connect("clicked(bool)", lambda checked=False: self._propagate())
        self._ui.shownSliceButton.connect("clicked(bool)", lambda checked=False: self._take_shown_slice())

    def update(self, parameters) -> None:
        """Show the notes, enable the buttons or say why not; ``parameters`` may be None."""
        result = parameters.propagated if parameters else None
        stated = result.GetAttribute(NOTES_ATTRIBUTE) if result else None
        self._ui.propagationLabel.text = notes_text(tuple(json.loads(stated or "[]")))
        reason = self._panel.running_or(self._reason(parameters))
        tip = _("Carry the start slice's labels to base and apex; the result becomes the segmentation to mesh.")
        set_enabled(self._ui.propagateButton, tip, reason)
        set_enabled(self._ui.shownSliceButton, _("Start from the slice that the red view shows."), reason)

    @staticmethod
    def follow(segmentation, parameters) -> None:
        """The user has chosen another segmentation: its own latest result is the one to update."""
        parameters.propagated = last_propagation(segmentation)

    def _reason(self, parameters) -> str:
        if parameters is None or not parameters.inputSegmentation:
            return _("Choose a segmentation first.")
        if not self._volume(parameters):
            return _("Choose the images that the segmentation was made on.")
        return ""

    @staticmethod
    def _source(parameters):
        """The segmentation to propagate."""
        chosen = parameters.inputSegmentation
        made_of = chosen.GetNodeReference(SOURCE) if chosen is parameters.propagated else None
        return made_of or chosen

    def _volume(self, parameters):
        return parameters.propagationVolume or images_of(self._source(parameters))

    def _take_shown_slice(self) -> None:
        with errors_shown():
            parameters = self._panel.parameters
            parameters.startSlice = shown_slice(self._volume(parameters))

    def _propagate(self) -> None:
        chosen = self._panel.logic.getParameterNode()  # stays valid when the module is left during the run
        segmentation, output = self._source(chosen), chosen.propagated
        volume, frame, valves = self._volume(chosen), chosen.frame, chosen.valvePoints
        choice = propagate_choice(chosen.startSlice, chosen.baseSlice)
        phases = []

        def make_request() -> JobRequest:
            ask_for_licence(PROPAGATION_BUNDLE)
            ensure_dependencies(self._panel.widget.moduleName)
            request = self._panel.logic.makePropagationRequest(segmentation, volume, frame, choice, valves)
            phases.append(phase_of(request))
            return request

        def add_result(found: Propagation) -> str:
            chosen.propagated = propagation_to_scene(found, segmentation, phase=phases[-1], output=output)
            self._panel.choose("inputSegmentation", chosen.propagated, chosen)
            return _("'{name}' is ready to be meshed.").format(name=chosen.propagated.GetName())

        self._panel.start(make_request, add_result)
