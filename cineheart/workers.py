"""A process beside this one that ends with the command that started it, and signals that let both clean up."""

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
"""Variables that libraries take their number of threads from."""
TOLD_S = 0.5
"""Between two messages of progress of a worker, which its pipe must hold while nobody reads them."""


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt as Ctrl+C does, so that unfinished files are removed and workers ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


class Beside:
    """One process beside this one, with one thread, which does one task.

    Made by :func:`beside`, which ends it. It has no files of its own: nothing is left of it when it is ended.
    """

    def __init__(self, process, channel: connection.Connection):
        self._process, self._channel = process, channel

    def begin(self, task: Callable, *arguments: object) -> None:
        """Let it do ``task(*arguments, progress)``, a function of a module, while this process goes on."""
        with suppress(BrokenPipeError, ConnectionResetError):  # it has ended: ``result`` says so
            self._channel.send((task, arguments))

    def result(self, progress: Progress = silent) -> object:
        """What the task returned, when it is done, or raise what it raised.

        Raises:
            InputError: the process was ended from outside, as by a system without memory.
        """
        try:
            while True:
                kind, *said = self._channel.recv()
                if kind == "progress":
                    progress(*said)
                elif kind == "done":
                    value = _received(self._channel, *said)
                    self._process.join()  # its memory is free now
                    return value
                else:
                    raise said[0] from RuntimeError(said[1])
        except (EOFError, OSError) as error:
            self._process.join()
            raise InputError(
                f"its process was ended from outside (exit code {self._process.exitcode}); "
                "close other programs to free memory, and run the same command again."
            ) from error


@contextmanager
def beside(prepare: Callable[[], None]) -> Iterator[Beside]:
    """A process that calls ``prepare``, then waits for a task; it ends with the block, and with this process.

    A script that comes here must be guarded by ``if __name__ == "__main__":``, as :mod:`multiprocessing` asks.
    """
    context = multiprocessing.get_context("spawn")
    channel, theirs = context.Pipe()
    process = context.Process(target=_stand_by, args=(theirs, prepare), daemon=True)
    with _one_thread_and_no_interrupts():
        process.start()
    theirs.close()
    try:
        yield Beside(process, channel)
    finally:
        process.terminate()
        process.join()
        channel.close()


@contextmanager
def _one_thread_and_no_interrupts() -> Iterator[None]:
    """Processes that are started in the block inherit it: Ctrl+C, which reaches them too, is left to this process."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    masked = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]) if masked else None
    try:
        yield
    finally:
        if masked:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name in THREADS:
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _stand_by(channel: connection.Connection, prepare: Callable[[], None]) -> None:
    """In the process beside: one task, then the end, which comes sooner where the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        connection.wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    latest = float("-inf")

    def progress(fraction: float, message: str) -> None:
        nonlocal latest
        if time.monotonic() - latest > TOLD_S:
            latest = time.monotonic()
            channel.send(("progress", fraction, message))

    try:
        prepare()
        task, arguments = channel.recv()
        _send_done(channel, task(*arguments, progress))
    except BaseException as error:
        channel.send(("error", _portable(error), traceback.format_exc()))


def _send_done(channel: connection.Connection, value: object) -> None:
    """Arrays go as they are, without a copy of them: together with it they would not fit where each does."""
    arrays: list[pickle.PickleBuffer] = []
    rest = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    raw = [array.raw() for array in arrays]
    channel.send(("done", rest, [array.nbytes for array in raw]))
    for array in raw:
        channel.send_bytes(array)


def _received(channel: connection.Connection, rest: bytes, sizes: list[int]) -> object:
    """What :func:`_send_done` sends, with arrays that can be written to."""
    arrays = [bytearray(size) for size in sizes]
    for array in arrays:
        channel.recv_bytes_into(array)
    return pickle.loads(rest, buffers=arrays)


def _portable(error: BaseException) -> BaseException:
    """The error, or its text where it cannot be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
