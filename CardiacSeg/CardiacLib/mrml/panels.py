"""What the module panels share: Apply, Cancel and progress around one worker run, and scene changes that are whole."""

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import Cancelled, InputError
from .processes import Callbacks, JobRequest, WorkerRun


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


def require_in_scene(node, what: str) -> None:
    """Raise InputError when a node that a result belongs to has left the scene during the run."""
    import slicer

    if node is None or not slicer.mrmlScene.IsNodePresent(node):
        raise InputError(f"{what} was removed from the scene during the run; the result was dropped, apply again.")


class JobPanel:
    """Drives ``applyButton``, ``cancelButton``, ``progressBar`` and ``statusLabel`` of a loaded ``.ui``.

    Args:
        ui: the object that ``slicer.util.childWidgetVariables`` returned.
        translate: the module's translation function.
        on_state: called whenever a run has started or ended, so that the module can update its buttons.
    """

    def __init__(self, ui, translate: Callable[[str], str], on_state: Callable[[], None]):
        self._ui = ui
        self._translate = translate
        self._on_state = on_state
        self._run: WorkerRun | None = None
        self._show_running(False)

    @property
    def running(self) -> bool:
        """Whether a worker is running."""
        return self._run is not None and not self._run.finished

    def start(self, make_request: Callable[[], JobRequest], on_done: Callable[[object], str]) -> None:
        """Make the request, start its worker and follow it by a timer.

        ``on_done`` puts the value into the scene and returns the sentence to show. Errors of either are shown.
        """
        if self.running:
            return
        _ = self._translate
        try:
            callbacks = Callbacks(
                self._progress, lambda value: self._done(on_done, value), self._failed, self._cancelled
            )
            self._run = WorkerRun(make_request(), callbacks)
            self._run.start(use_timer=True)
        except InputError as error:
            self._failed(str(error), "")
        except Cancelled as error:
            self._end(str(error) or _("Cancelled."))
        except Exception as error:
            self._failed(str(error), traceback.format_exc())
        else:
            self._ui.progressBar.value = 0
            self._ui.statusLabel.text = _("Starting...")
            self._show_running(True)
            self._on_state()

    def cancel(self) -> None:
        """Stop the worker, if any; the scene stays as it was before Apply."""
        if self.running:
            self._run.cancel()

    def set_ready(self, reason: str) -> None:
        """Enable Apply when ``reason`` is empty; else disable it and let its tool tip say the reason."""
        self._ui.applyButton.enabled = not reason and not self.running
        tip = self._translate("Running; press Cancel to stop.") if self.running else reason
        self._ui.applyButton.toolTip = tip or self._translate("Start the computation.")

    def _progress(self, fraction: float, message: str) -> None:
        self._ui.progressBar.value = round(100 * fraction)
        self._ui.statusLabel.text = message

    def _done(self, on_done: Callable[[object], str], value) -> None:
        try:
            with whole_scene_change():
                sentence = on_done(value)
        except InputError as error:
            self._failed(str(error), "")
        except Exception as error:
            self._failed(str(error), traceback.format_exc())
        else:
            self._ui.progressBar.value = 100
            self._end(sentence)

    def _failed(self, message: str, detail: str) -> None:
        import slicer

        self._ui.progressBar.value = 0
        self._end(message)
        if detail:
            logging.error(detail)
            slicer.util.errorDisplay(message, detailedText=detail)
        else:
            slicer.util.errorDisplay(message)

    def _cancelled(self) -> None:
        self._ui.progressBar.value = 0
        self._end(self._translate("Cancelled; the scene is as it was."))

    def _end(self, sentence: str) -> None:
        self._run = None
        self._ui.statusLabel.text = sentence
        self._show_running(False)
        self._on_state()

    def _show_running(self, running: bool) -> None:
        self._ui.progressBar.visible = running
        self._ui.cancelButton.enabled = running
