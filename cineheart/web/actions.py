"""The steps of a session, each a job of the one worker process, with progress and cancel, as of a panel."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cineheart
from BiVMeshLib.mrml.motion import mesh_request, mesh_result_to_scene
from BiVMeshLib.result import MeshChoice, MeshResult
from CardiacLandmarksLib.mrml import requests as points_requests
from CardiacLandmarksLib.mrml import result as points_results
from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes import sequences
from CardiacLib.mrml.nodes.markups import landmarks_from_nodes
from CardiacLib.mrml.nodes.segmentations import labels_from_node
from CardiacLib.mrml.panel.processes import Callbacks, JobRequest, Worker, WorkerRun
from CardiacLib.mrml.panel.results import result_of
from CardiacLib.networks.bundles import bundle_of_species
from CardiacLib.types.choices import LandmarkChoice, NetworkChoice, SegmentChoice
from CardiacLib.types.landmarks import LANDMARK_VIEWS
from CardiacLib.types.mesh_options import MeshOptions
from CardiacSegLib.mrml import result as labels_results

from .study_scene import StudyScene

WORKER = Worker("cineheart.worker", Path(cineheart.__file__).resolve().parents[1])
POLL_S = 0.1
COARSE_TETS = 15_000
"""Wanted number of tetrahedra of a mesh for a look."""
Done = Callable[[object], None]


@dataclass(frozen=True)
class Outcome:
    """How a job ended: ``problem`` is empty if it was done, ``cancelled`` says that a person stopped it."""

    problem: str = ""
    cancelled: bool = False


class Jobs:
    """Runs one job at a time in the worker process.

    Args:
        progress: called with (fraction, message).
    """

    def __init__(self, progress: Callable[[float, str], None]):
        self._progress = progress
        self._run: WorkerRun | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return self._run is not None

    def cancel(self) -> None:
        """Stop the job that runs."""
        if self._run is not None:
            self._run.cancel()

    async def run(self, request: JobRequest, done: Done) -> Outcome:
        """Run a job and give its value to ``done``, which draws it into the scene.

        Raises:
            InputError: another job runs.
        """
        if self.busy:
            raise InputError("Another step runs; wait for it or cancel it.")
        values: list[object] = []
        failures: list[str] = []
        stopped: list[object] = []
        callbacks = Callbacks(
            progress=self._progress,
            done=values.append,
            failed=lambda message, detail: failures.append(message),
            cancelled=stopped.append,
        )
        self._run = WorkerRun(request, WORKER, callbacks)
        try:
            self._run.start()
            while self._run.poll():
                await asyncio.sleep(POLL_S)
        finally:
            self._run.abandon()
            self._run = None
        if values:
            done(values[0])
        return Outcome(failures[0] if failures else "", bool(stopped))


class Steps:
    """Segment, points and mesh of what is open, as (job, what draws its value).

    Args:
        scene: of the session.
    """

    def __init__(self, scene: StudyScene):
        self._scene = scene

    def read(self, path: Path, name: str) -> tuple[JobRequest, Done]:
        """Read a study."""
        return JobRequest("study", {"path": str(path)}), lambda study: self._scene.open_study(study, name)

    def segment(self, species: str) -> tuple[JobRequest, Done]:
        """Label and measure every frame of the short axis; earlier labels are updated in place."""
        volume = self._require("sax")
        request = JobRequest("segment", {"cine": self._scene.cine("sax"), "choice": _choice(species)})
        name, earlier = f"{volume.GetName()} segmentation", self._earlier(self._scene.segmentation)
        return request, lambda found: labels_results.segmentation_to_scene(volume, found, name=name, output=earlier)

    def points(self) -> tuple[JobRequest, Done]:
        """Find the valve points of the long-axis views."""
        volumes = self._long_axis()
        earlier = self._earlier(next(iter(self._scene.points), None))
        request = points_requests.points_request(volumes, LandmarkChoice())
        return request, lambda found: points_results.points_to_scene(found, volumes, output=earlier)

    def measure_labels(self, species: str) -> tuple[JobRequest, Done]:
        """Measure the labels as they are now, and update their tables."""
        segmentation = self._earlier(self._require_labels())
        request = labels_results.measure_request(segmentation, self._require("sax"), _choice(species))
        return request, lambda found: labels_results.measures_to_scene(found, segmentation)

    def measure_points(self) -> tuple[JobRequest, Done]:
        """Measure the valve points as they are now, and update their tables."""
        points, volumes = self._earlier(next(iter(self._scene.points))), self._long_axis()
        request = points_requests.measure_request(points, volumes)
        return request, lambda found: points_results.measures_to_scene(found, points, volumes.values())

    def mesh(self, species: str, coarse: bool) -> tuple[JobRequest, Done]:
        """Mesh end-diastole and, of a cine, carry it over the beat; coarsely for a look, not for a simulation."""
        segmentation = self._require_labels()
        labels = labels_from_node(segmentation, self._require("sax"))
        lists = self._scene.points
        valves = landmarks_from_nodes(lists) if lists else None
        frame = labels_results.frame_number(segmentation, labels, "ed")
        options = MeshOptions(species=species, tets=COARSE_TETS if coarse else None, optimise=not coarse)
        choice = MeshChoice(frame, options, motion=labels.n_frames > 1)
        earlier = self._earlier(self._scene.mesh)
        return mesh_request(labels, choice, valves), lambda found: self._draw_mesh(found, segmentation, earlier)

    def _draw_mesh(self, found: MeshResult, segmentation, earlier) -> None:
        mesh_result_to_scene(found, segmentation, name=f"{self._scene.name} mesh", output=earlier)
        if self._scene.browser is not None:
            sequences.select_frame(self._scene.browser, found.frame)

    def _long_axis(self) -> dict:
        volumes = {view: node for view, node in self._scene.volumes.items() if view in set(LANDMARK_VIEWS)}
        if not volumes:
            raise InputError("The study has no long-axis view, on which valve points are found.")
        return volumes

    def _require(self, view: str):
        if view not in self._scene.volumes:
            raise InputError("Open a study first.")
        return self._scene.volumes[view]

    def _earlier(self, node):
        """The chief node of an earlier result that a new one takes the place of, with its tables; it may be None."""
        if node is not None and not result_of(node).nodes:
            raise InputError("This scene is of an earlier version: nothing in it can be updated; run cineheart again.")
        return node

    def _require_labels(self):
        if self._scene.segmentation is None:
            raise InputError("There are no labels yet; segment the study first.")
        return self._scene.segmentation


def _choice(species: str) -> SegmentChoice:
    return SegmentChoice(network=NetworkChoice(bundle_of_species(species)), species=species)
