"""One session: what its page asks for, done on its scene, and told to the page."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from trame_server import Server
from trame_slicer import module as slicer_module
from trame_slicer.core import SlicerApp

from BiVMeshLib.mrml.surface_colours import HELIX_LIMITS, STRAIN_LIMITS
from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.host import use_scene
from CardiacLib.mrml.panel.words import words
from CardiacLib.species import species_named
from CardiacLib.types.choices import SPECIES_NAMES

from .actions import Done, Jobs, Steps
from .downloads import write_downloads
from .editing import LABELS, POINTS, STRUCTURES, TOOLS, Editing
from .folders import below, listing, require_inside
from .page import build_page
from .sessions import OUTPUT, UPLOADS
from .study_scene import StudyScene
from .views import Views

FRAMES_PER_S = 12.0
"""While playing; each frame is five images."""
BRUSH_MM = 8
"""Diameter of the brush at first, for a human heart."""
MEASURED_AFTER_S = 0.3
"""After an edit, in which more may follow."""
MESH_SCALES = {
    "helix": [f"{end:.0f}\N{DEGREE SIGN}" for end in HELIX_LIMITS],
    "strain": [f"{STRAIN_LIMITS[0]:.0f} % (shorter)", f"{STRAIN_LIMITS[1]:.0f} % (longer round the wall)"],
}
"""What the ends of the colour scale stand for."""
REPLACES = {"study": {LABELS, POINTS}, "segment": {LABELS}, "find_points": {POINTS}}
"""What a job puts in place of what may have been edited."""


class App:
    """State and actions of the page.

    Args:
        server: of the session.
        root: folder whose studies may be opened.
        folder: the session's own.
    """

    def __init__(self, server: Server, root: Path, folder: Path):
        self.server, self.state, self._root, self._folder = server, server.state, root, folder
        server.enable_module(slicer_module)
        self.slicer = SlicerApp()
        use_scene(self.slicer.scene, self.slicer.app_logic)
        self.scene = StudyScene()
        self.views = Views(server, self.slicer)
        self.jobs, self.steps = Jobs(self._progress), Steps(self.scene)
        self.editing = Editing(self.slicer, self.scene, self._edited)
        self._measuring = Jobs(lambda fraction, message: None)
        self._unmeasured: set[str] = set()
        self._measured_now = ""
        self._tasks: set[asyncio.Task] = set()
        self.state.update(
            {
                "trame__title": "CineHeart", "folder": "", "entries": [], "problem": "", "name": "", "frame": 0,
                "last_frame": 0, "playing": False, "busy": False, "fraction": 0.0, "doing": "", "tables": [],
                "table": 0, "mesh_views": [], "mesh_view": "",
                "mesh_words": words()["view"], "mesh_scales": MESH_SCALES,
                "species": SPECIES_NAMES[0], "all_species": list(SPECIES_NAMES), "downloads": [], "has_labels": False,
                "tool": next(iter(TOOLS)), "structure": next(iter(STRUCTURES)), "structures": list(STRUCTURES),
                "brush_mm": BRUSH_MM, "can_undo": False, "can_redo": False, "measuring": False, "old_mesh": False,
                "coarse": False,
            }
        )  # fmt: skip
        self._listen()
        self.show_folder("")
        build_page(server, self)

    def _listen(self) -> None:
        self.server.controller.add("on_server_ready")(lambda **_: self._spawn(self.views.painter.run()))
        self.state.change("frame")(lambda frame, **_: self.views.painter.before_next(lambda: self._show_frame(frame)))
        self.state.change("playing")(lambda playing, **_: self._spawn(self._play()) if playing else None)
        self.state.change("tool", "structure", "brush_mm", "species")(lambda **_: self._guard(self._choose_tool))
        self.state.change("mesh_view")(lambda mesh_view, **_: mesh_view and self._guard(self._colour))

    def show_folder(self, path: str) -> None:
        """List a folder below the root."""
        self._guard(lambda: self._list(path))

    def open(self, path: str, kind: str) -> None:
        """Open a result, or read a study, below the root."""
        self._guard(lambda: self._open(path, kind))

    def open_uploads(self, name: str = "") -> None:
        """Read what was sent: one file, or all together."""
        self._guard(lambda: self._read(below(self._folder / UPLOADS, name), name or "upload"))

    def step(self, name: str) -> None:
        """Run one of ``segment``, ``points``, ``mesh``."""
        species = self.state.species
        makers = {
            "segment": lambda: self.steps.segment(species),
            "points": self.steps.points,
            "mesh": lambda: self.steps.mesh(species, coarse=bool(self.state.coarse)),
        }
        self._guard(lambda: self._begin(name, makers[name]))

    def undo(self) -> None:
        """Undo the last stroke or drag, at its frame."""
        self._guard(self.editing.undo)

    def redo(self) -> None:
        """Do again what was undone last."""
        self._guard(self.editing.redo)

    def prepare_downloads(self) -> None:
        """Write files of all that is open where the page can fetch them."""
        self._guard(self._write_downloads)

    def _list(self, path: str) -> None:
        self.state.entries = [asdict(entry) for entry in listing(self._root, path)]
        self.state.folder = path if path != "." else ""

    def _open(self, path: str, kind: str) -> None:
        place = below(self._root, path)
        require_inside(self._root, place)
        if kind == "result":
            self._stop()
            self._forget_edits({LABELS, POINTS})
            self.scene.open_result(place)
            self._opened()
        else:
            self._read(place, place.name)

    def _read(self, place: Path, name: str) -> None:
        self._stop()
        self._begin("reading", lambda: self.steps.read(place, name), opened=True)

    def _begin(self, doing: str, make: Callable[[], tuple], opened: bool = False) -> None:
        if self.jobs.busy:
            raise InputError("Another step runs; wait for it or cancel it.")
        self._stop()
        request, done = make()
        self.state.update({"busy": True, "doing": doing, "fraction": 0.0})
        self._spawn(self._work(request, done, opened))

    async def _work(self, request, done: Done, opened: bool) -> None:
        problem = ""
        try:
            problem = (await self.jobs.run(request, done)).problem
        except Exception as error:
            problem = _sentence(error)
        with self.state:
            self.state.update({"busy": False, "doing": "", "problem": problem})
            if not problem:
                self._opened() if opened else self._changed()
            if not problem and request.task in REPLACES:
                self._forget_edits(REPLACES[request.task])
                self._begin_editing()
            elif not problem:
                self.state.old_mesh = False

    def _opened(self) -> None:
        self.views.show(self.scene.volumes)
        self.state.species = self.scene.species or self.state.species
        self.state.update({"name": self.scene.name, "last_frame": max(self.scene.n_frames - 1, 0), "downloads": []})
        self._begin_editing()
        self._changed()

    def _begin_editing(self) -> None:
        self.editing.begin()
        self._choose_tool()
        self.state.update({"can_undo": False, "can_redo": False, "old_mesh": False})

    def _choose_tool(self) -> None:
        diameter_mm = float(self.state.brush_mm) / species_named(self.state.species).body_scale
        self.editing.choose(self.state.tool, self.state.structure, diameter_mm)

    def _forget_edits(self, kinds: set[str]) -> None:
        """What was edited is replaced: do not measure it any more."""
        self._unmeasured -= kinds
        if self._measured_now in kinds:
            self._measuring.cancel()

    def _edited(self, what: str) -> None:
        """Measure what was edited, a moment later."""
        self._unmeasured |= {what} | ({POINTS} if self.scene.points else set())  # whose measures use the labels too
        with self.state:
            self.state.update(
                {
                    "can_undo": self.editing.can_undo,
                    "can_redo": self.editing.can_redo,
                    "frame": self.scene.frame,
                    "old_mesh": self.scene.mesh is not None,
                    "downloads": [],
                }
            )
            if not self.state.measuring:
                self.state.measuring = True
                self._spawn(self._measure())

    async def _measure(self) -> None:
        makers = {LABELS: lambda: self.steps.measure_labels(self.state.species), POINTS: self.steps.measure_points}
        problem = ""
        while self._unmeasured:
            await asyncio.sleep(MEASURED_AFTER_S)
            for what in sorted(self._unmeasured):
                self._unmeasured.discard(what)
                self._measured_now = what
                try:
                    request, done = makers[what]()
                    problem = (await self._measuring.run(request, done)).problem or problem
                except Exception as error:
                    problem = _sentence(error)
                self._measured_now = ""
        with self.state:
            tables = self.scene.tables()
            table = min(self.state.table, max(len(tables) - 1, 0))
            self.state.update({"measuring": False, "problem": problem, "table": table, "tables": tables})

    def _changed(self) -> None:
        """Tell the page what the scene holds now."""
        self.state.update(
            {
                "tables": self.scene.tables(),
                "table": self.scene.first_table,
                "mesh_views": self.scene.mesh_views(),
                "mesh_view": next(iter(self.scene.mesh_views()), ""),
                "downloads": [],
                "has_labels": self.scene.segmentation is not None,
                "frame": self.scene.frame,
            }
        )
        self.views.aim()
        self.views.render()

    def _show_frame(self, frame) -> None:
        """Show a frame where it is not shown yet; a problem that was said before stays."""
        try:
            if int(frame) != self.scene.frame:
                self.scene.show_frame(int(frame))
        except Exception as error:
            with self.state:
                self.state.problem = _sentence(error)

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        while self.state.playing and self.scene.n_frames > 1:
            begun = loop.time()
            with self.state:
                self.state.frame = (int(self.state.frame) + 1) % self.scene.n_frames
            await asyncio.sleep(0)
            await self.views.painter.done()
            await asyncio.sleep(max(1 / FRAMES_PER_S - (loop.time() - begun), 0.01))

    def _stop(self) -> None:
        self.state.playing = False

    def _colour(self) -> None:
        self.scene.show_mesh(self.state.mesh_view)
        self.views.render()

    def _write_downloads(self) -> None:
        self.state.downloads = write_downloads(self.scene, self._folder / OUTPUT)

    def _progress(self, fraction: float, message: str) -> None:
        with self.state:
            self.state.update({"fraction": fraction, "doing": message})

    def _guard(self, action: Callable[[], object]) -> None:
        """Do something; what cannot be used is one sentence on the page, anything else also stands in the log."""
        try:
            action()
        except Exception as error:
            self.state.problem = _sentence(error)
        else:
            self.state.problem = ""

    def _spawn(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _sentence(error: Exception) -> str:
    """What is said of an error on the page; of one that nobody foresaw, the log says all."""
    if isinstance(error, InputError):
        return str(error)
    logging.error("An action of the page failed.", exc_info=error)
    return f"That failed ({type(error).__name__}: {error}); the server's log says more."
