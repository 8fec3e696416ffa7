"""What the module panels share: parameter node and scene events, one worker run with progress and Cancel, and scene
changes that are whole.

A module's widget class hands Slicer's calls on to its panel, a subclass of :class:`ModulePanel` in its library, which
it makes in its ``setup``.
"""

import logging
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from CardiacLib.errors import Cancelled, InputError
from CardiacLib.mrml.translation import _
from CardiacLib.progress import Progress, silent

from .processes import Callbacks, JobRequest, Worker, WorkerRun, run_blocking
from .results import last_result
from .words import show_words

TIME_LEFT_AFTER_S = 3.0
"""Before, and in the first fifth of the work, an estimate of the time left would be a guess."""


@contextmanager
def whole_scene_change() -> Iterator[None]:
    """Remove every node that the block has added to the scene if the block fails, so no half result stays."""
    import slicer

    scene = slicer.mrmlScene
    before = set(_node_ids(scene))
    try:
        yield
    except BaseException:
        _remove_new_nodes(scene, before)
        raise


def _nothing_to_do() -> None:
    """What a script does while it waits."""


def run_and_add(
    request: JobRequest,
    add: Callable[[object], object],
    *,
    worker: Worker,
    progress: Progress = silent,
    idle: Callable[[], None] = _nothing_to_do,
) -> object:
    """Run a job, wait, and put its value into the scene by ``add``, wholly or not at all; what scripts do.

    ``idle`` is called while the worker works.

    Raises:
        as of :func:`~.processes.run_blocking`, and what ``add`` raises.
    """
    value = run_blocking(request, worker, progress, idle)
    with whole_scene_change():
        return add(value)


def _nothing(stopped: bool) -> None:
    """The end of a run that nobody waits for."""


def _remove_new_nodes(scene, before: set[str]) -> None:
    def added(*classes: str) -> list:
        nodes = [scene.GetNodeByID(node_id) for node_id in _node_ids(scene) if node_id not in before]
        return [node for node in nodes if not classes or node.GetClassName() in classes]

    # Sequences leave their browser first: a browser makes a new proxy for a sequence whose proxy is removed.
    for sequence in added("vtkMRMLSequenceNode"):
        for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
            browser = scene.GetNthNodeByClass(number, "vtkMRMLSequenceBrowserNode")
            browser.RemoveSynchronizedSequenceNode(sequence.GetID())
    for node in reversed(added()):
        if scene.IsNodePresent(node):  # display and storage nodes go with their owner
            scene.RemoveNode(node)


def _node_ids(scene) -> list[str]:
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show an error of the block to the user and go on after it."""
    import slicer

    try:
        yield
    except InputError as error:
        slicer.util.errorDisplay(str(error))
    except Exception as error:
        logging.error(traceback.format_exc())
        slicer.util.errorDisplay(str(error), detailedText=traceback.format_exc())


def require_in_scene(node, what: str) -> None:
    """Raise InputError when a node that a result belongs to has left the scene during the run."""
    import slicer

    if node is None or not slicer.mrmlScene.IsNodePresent(node):
        raise InputError(f"{what} was removed from the scene during the run; the result was dropped, apply again.")


def load_ui(widget) -> None:
    """Load ``Resources/UI/<module>.ui`` into a module's widget and give it ``ui``; called in its ``setup``."""
    import slicer

    loaded = slicer.util.loadUI(widget.resourcePath(f"UI/{widget.moduleName}.ui"))
    widget.layout.addWidget(loaded)
    widget.ui = slicer.util.childWidgetVariables(loaded)
    loaded.setMRMLScene(slicer.mrmlScene)


class JobPanel:
    """Drives ``applyButton``, ``cancelButton``, ``progressBar``, ``statusLabel`` and ``logText`` of a loaded ``.ui``.

    Args:
        ui: the object that ``slicer.util.childWidgetVariables`` returned.
        worker: runs the jobs.
    """

    def __init__(self, ui, worker: Worker):
        self.ui, self.worker = ui, worker
        self._run: WorkerRun | None = None
        self._on_end = _nothing
        self._stopped = False
        self._started = 0.0
        ui.cancelButton.connect("clicked(bool)", lambda checked=False: self.cancel())
        self._show_running(False)

    @property
    def running(self) -> bool:
        """Whether a worker is running."""
        return self._run is not None and not self._run.finished

    def update(self) -> None:
        """Bring buttons and labels in line with the run; called whenever one has started or ended."""

    def start(
        self,
        make_request: Callable[[], JobRequest],
        on_done: Callable[[object], str],
        on_part: Callable[[JobRequest, list], str] | None = None,
        on_end: Callable[[bool], None] = _nothing,
    ) -> None:
        """Make the request, start its worker and follow it by a timer.

        Args:
            make_request: may raise InputError or Cancelled.
            on_done: puts the value into the scene and returns the sentence to show; its errors are shown.
            on_part: the same for the frames, uint8 (K, J, I) each, that were labelled when the user cancelled.
            on_end: called once after the run, however it ended, when the panel is ready again; is told whether it
                was stopped: by Cancel, or because the scene or the module goes.
        """
        if self.running:
            return
        self._on_end, self._stopped = on_end, False
        try:
            request = make_request()

            def cancelled(frames: list) -> None:
                self._cancelled(lambda: on_part(request, frames) if on_part and frames else "")

            callbacks = Callbacks(
                self._progress, lambda value: self._done(lambda: on_done(value)), self._failed, cancelled, self.log
            )
            self._run = WorkerRun(request, self.worker, callbacks)
            self._run.start(use_timer=True)
        except InputError as error:
            self._failed(str(error), "")
        except Cancelled as error:
            self._end(str(error) or _("Cancelled."))
        except Exception as error:
            self._failed(str(error), traceback.format_exc())
        else:
            self._started = time.monotonic()
            self.ui.progressBar.value = 0
            self.ui.statusLabel.text = _("Starting...")
            self._show_running(True)
            self.update()

    def cancel(self) -> None:
        """Stop the worker, if any; what it had finished is kept."""
        if self.running:
            self._stopped = True
            self._run.cancel()

    def abandon(self) -> None:
        """Stop the worker, if any, and leave the scene alone."""
        if self.running:
            self._stopped = True
            self._run.abandon()
            self.ui.progressBar.value = 0
            self._end(_("Stopped."))

    def running_or(self, reason: str) -> str:
        """Why a button that starts a run is off: there is a run, or ``reason``; empty if it is on."""
        return _("Running; press Cancel to stop.") if self.running else reason

    def set_ready(self, reason: str) -> None:
        """Enable Apply when ``reason`` is empty; else disable it and let its tool tip say the reason."""
        self.ui.applyButton.enabled = not reason and not self.running
        self.ui.applyButton.toolTip = self.running_or(reason) or _("Start the computation.")

    def log(self, *sentences: str) -> None:
        """Add sentences to the log pane, which keeps them until the module is left for good."""
        for sentence in filter(None, sentences):
            self.ui.logText.appendPlainText(sentence)

    def _progress(self, fraction: float, message: str) -> None:
        self.ui.progressBar.value = round(100 * fraction)
        elapsed = time.monotonic() - self._started
        if fraction > 0.2 and elapsed > TIME_LEFT_AFTER_S:
            left = _("about {seconds} s left").format(seconds=round(elapsed * (1 - fraction) / fraction))
            message = f"{message} ({left})"
        self.ui.statusLabel.text = message

    def _done(self, add_result: Callable[[], str]) -> None:
        try:
            with whole_scene_change():
                sentence = add_result()
        except InputError as error:
            self._failed(str(error), "")
        except Exception as error:
            self._failed(str(error), traceback.format_exc())
        else:
            self.ui.progressBar.value = 100
            self._end(sentence)

    def _failed(self, message: str, detail: str) -> None:
        import slicer

        self.ui.progressBar.value = 0
        self._end(message)
        if detail:
            logging.error(detail)
            self.log(detail)
            slicer.util.errorDisplay(message, detailedText=detail)
        else:
            slicer.util.errorDisplay(message)

    def _cancelled(self, add_part: Callable[[], str]) -> None:
        unchanged = _("Cancelled; the scene is as it was.")
        self._done(lambda: add_part() or unchanged)
        self.ui.progressBar.value = 0

    def _end(self, sentence: str) -> None:
        self._run, on_end, self._on_end = None, self._on_end, _nothing
        on_end(self._stopped)
        self.ui.statusLabel.text = sentence
        self.log(sentence)
        self._show_running(False)
        self.update()

    def _show_running(self, running: bool) -> None:
        self.ui.progressBar.visible = running
        self.ui.cancelButton.enabled = running


class ModulePanel(JobPanel):
    """The panel of one module: its ``.ui``, its parameter node, the scene's opening and closing, one run.

    A subclass says why Apply is off (:meth:`reason`), what it does (:meth:`apply`) and what the panel shows
    (:meth:`show`). Its ``__init__`` makes what these need and calls :meth:`connect` at the end.

    Args:
        widget: the module's widget: ``logic`` (with ``getParameterNode``), ``parent``, ``moduleName``. It gets ``ui``.
        worker: runs the jobs.

    Attributes:
        parameters: the scene's parameter node, None while the module is not shown or a scene is read.
        inputs: name of an input parameter to the class of nodes of which the first is taken when none is chosen.
        outputs: name of an input parameter to that of the output: when the user chooses another input, its latest
            result becomes the output, or none, so that Apply does not overwrite the result of the input before.
    """

    inputs: ClassVar[Mapping[str, str]] = {}
    outputs: ClassVar[Mapping[str, str]] = {}

    def __init__(self, widget, worker: Worker):
        import slicer

        load_ui(widget)
        super().__init__(widget.ui, worker)
        self.widget, self.logic = widget, widget.logic
        self.parameters = None
        self._chosen: dict[str, object] = {}
        self._tags: tuple[int, int] | None = None
        self._changing = False
        self.ui.applyButton.connect("clicked(bool)", widget.onApplyButton)
        scene = slicer.mrmlScene
        # While a scene is read, references of the parameter node lead nowhere yet, and a wrapper keeps what it read.
        self._scene_tags = [
            scene.AddObserver(scene.StartCloseEvent, self._scene_closes),
            scene.AddObserver(scene.EndCloseEvent, self._scene_is_there),
            scene.AddObserver(scene.StartImportEvent, self._scene_is_read),
            scene.AddObserver(scene.EndImportEvent, self._scene_is_there),
        ]
        for name in self.outputs:
            self._selector(name).connect("nodeActivated(vtkMRMLNode*)", lambda node, name=name: self.choose(name, node))

    def reason(self, parameters) -> str:
        """Why Apply cannot be pressed with these parameters; empty if it can."""
        raise NotImplementedError

    def apply(self) -> None:
        """What the Apply button does."""
        raise NotImplementedError

    def show(self, parameters) -> None:
        """Called when a parameter, the run or the scene has changed, with the parameter node or None."""
        raise NotImplementedError

    def connect(self) -> None:
        """Use the scene's parameter node (the module is entered).

        An input that is not chosen takes :meth:`first_input`, unless its output is chosen: that is of another input.
        """
        self._use(self.logic.getParameterNode())
        for name in self.inputs:
            output = self.outputs.get(name)
            free = output is None or getattr(self.parameters, output) is None
            first = self.first_input(name)
            if not getattr(self.parameters, name) and free and first:
                setattr(self.parameters, name, first)
        self._chosen = {name: getattr(self.parameters, name) for name in self.outputs}

    def first_input(self, name: str):
        """The node that an input takes when none is chosen: the first of its class; None if there is none."""
        import slicer

        return slicer.mrmlScene.GetFirstNodeByClass(self.inputs[name])

    def choose(self, name: str, node, parameters=None) -> None:
        """The user chooses an input, and thereby its latest result as the output.

        Args:
            name: of the input's parameter, one of ``outputs``.
            node: that is chosen; None for none.
            parameters: by default those of the panel, which has none when the module was left during a run.
        """
        parameters = parameters or self.parameters
        if parameters is None:
            return
        setattr(parameters, name, node)
        if node is not self._chosen.get(name):  # the list tells as well of a choice that changes nothing
            self._chosen[name] = node
            setattr(parameters, self.outputs[name], last_result(node))
            self.on_choice(node, parameters)

    def on_choice(self, node, parameters) -> None:
        """Called when the user has chosen another input, for further outputs that belong to it."""

    def disconnect(self) -> None:
        """Let the parameter node go (the module is left); a run goes on and its result arrives all the same."""
        self._use(None)

    def close(self) -> None:
        """Leave no worker and no observer behind: the module is reloaded, or Slicer closes."""
        import slicer

        self.abandon()
        self.disconnect()
        for tag in self._scene_tags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._scene_tags = []

    def update(self, caller=None, event=None) -> None:
        """Bring buttons and labels in line with parameters, run and scene."""
        if self._changing:
            return
        self._changing = True
        try:
            self.set_ready(self.reason(self.parameters) if self.parameters else _("No scene."))
            self.show(self.parameters)
        finally:
            self._changing = False

    def _selector(self, name: str):
        """The node selector of a parameter."""
        widgets = vars(self.ui).values()
        return next(widget for widget in widgets if widget.property("SlicerParameterName") == name)

    def _use(self, parameters) -> None:
        if self.parameters:
            gui, modified = self._tags
            self.parameters.disconnectGui(gui)
            self.parameters.RemoveObserver(modified)
        self.parameters = parameters
        if parameters:
            self._tags = parameters.connectGui(self.ui), parameters.AddObserver("ModifiedEvent", self.update)
            show_words(self.ui, parameters)
        self.update()

    def _scene_closes(self, caller, event) -> None:
        """The run belongs to the scene that goes."""
        self.abandon()
        self.disconnect()

    def _scene_is_read(self, caller, event) -> None:
        """A run goes on: a scene may be added to the one that is there."""
        self.disconnect()

    def _scene_is_there(self, caller, event) -> None:
        if self.widget.parent.isEntered:
            self.connect()
