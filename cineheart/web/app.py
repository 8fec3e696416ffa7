"""One session: what its page asks for, done on its scene, and told to the page."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from trame_server import Server
from trame_slicer import module as slicer_module
from trame_slicer.core import SlicerApp

from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.host import use_scene
from CardiacLib.types.choices import SPECIES_NAMES
from CardiacLib.writers.images import write_labels
from cineheart.outputs import write_rows

from .actions import Done, Jobs, Steps
from .folders import below, listing, require_inside
from .page import build_page
from .sessions import OUTPUT, UPLOADS
from .study_scene import StudyScene
from .views import Views

FRAMES_PER_S = 12.0
"""While playing; each frame is five images."""
DOWNLOADS = ("labels.nii.gz", "measurements.csv")


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
        self._tasks: set[asyncio.Task] = set()
        self.state.update(
            {
                "trame__title": "CineHeart", "folder": "", "entries": [], "problem": "", "name": "", "frame": 0,
                "last_frame": 0, "playing": False, "busy": False, "fraction": 0.0, "doing": "", "tables": [],
                "table": 0, "mesh_views": [], "mesh_view": "",
                "species": SPECIES_NAMES[0], "all_species": list(SPECIES_NAMES), "downloads": [], "has_labels": False,
            }
        )  # fmt: skip
        self._listen()
        self.show_folder("")
        build_page(server, self)

    def _listen(self) -> None:
        self.state.change("frame")(lambda frame, **_: self._guard(lambda: self._show_frame(int(frame))))
        self.state.change("playing")(lambda playing, **_: self._spawn(self._play()) if playing else None)
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
            "mesh": lambda: self.steps.mesh(species, motion=self.scene.n_frames > 1),
        }
        self._guard(lambda: self._begin(name, makers[name]))

    def prepare_downloads(self) -> None:
        """Write labels and tables where the page can fetch them."""
        self._guard(self._write_downloads)

    def _list(self, path: str) -> None:
        self.state.entries = [asdict(entry) for entry in listing(self._root, path)]
        self.state.folder = path if path != "." else ""

    def _open(self, path: str, kind: str) -> None:
        place = below(self._root, path)
        require_inside(self._root, place)
        if kind == "result":
            self._stop()
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
        except InputError as error:
            problem = str(error)
        with self.state:
            self.state.update({"busy": False, "doing": "", "problem": problem})
            if not problem:
                self._opened() if opened else self._changed()

    def _opened(self) -> None:
        self.views.show(self.scene.volumes)
        self.state.update({"name": self.scene.name, "last_frame": max(self.scene.n_frames - 1, 0), "downloads": []})
        self._changed()

    def _changed(self) -> None:
        """Tell the page what the scene holds now."""
        self.state.update(
            {
                "tables": self.scene.tables(),
                "table": 0,
                "mesh_views": self.scene.mesh_views(),
                "has_labels": self.scene.segmentation is not None,
                "frame": self.scene.frame,
            }
        )
        self.views.aim()
        self.views.render()

    def _show_frame(self, frame: int) -> None:
        if frame == self.scene.frame:
            return
        self.scene.show_frame(frame)

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        while self.state.playing and self.scene.n_frames > 1:
            begun = loop.time()
            with self.state:
                self.state.frame = (int(self.state.frame) + 1) % self.scene.n_frames
            await asyncio.sleep(max(1 / FRAMES_PER_S - (loop.time() - begun), 0.01))

    def _stop(self) -> None:
        self.state.playing = False

    def _colour(self) -> None:
        self.scene.show_mesh(self.state.mesh_view)
        self.views.render()

    def _write_downloads(self) -> None:
        folder = self._folder / OUTPUT
        made = []
        if self.scene.segmentation is not None:
            write_labels(folder / DOWNLOADS[0], self.scene.labels())
            made.append(DOWNLOADS[0])
        if tables := self.scene.tables():
            rows = [
                {"table": table["title"], "row": number, "column": column, "value": value}
                for table in tables
                for number, row in enumerate(table["rows"], 1)
                for column, value in zip(table["columns"], row, strict=True)
            ]
            write_rows(folder / DOWNLOADS[1], rows)
            made.append(DOWNLOADS[1])
        self.state.downloads = made

    def _progress(self, fraction: float, message: str) -> None:
        with self.state:
            self.state.update({"fraction": fraction, "doing": message})

    def _guard(self, action: Callable[[], object]) -> None:
        """Do something; what cannot be used is one sentence on the page, anything else also stands in the log."""
        try:
            action()
        except InputError as error:
            self.state.problem = str(error)
        except Exception as error:
            logging.exception("An action of the page failed.")
            self.state.problem = f"That failed ({type(error).__name__}: {error}); the server's log says more."
        else:
            self.state.problem = ""

    def _spawn(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
