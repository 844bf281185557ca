"""Work spread over processes: every task by itself in one of them, messages back as they come.

`concurrent.futures` has neither messages from within a task nor a way to stop at once, and both are needed: for a
progress bar that moves with every image, and for a Ctrl-C that does not wait for shards of minutes.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar, cast

from dsr.models.errors import UserError
from dsr.tfrecords.errors import ArtefactError

Task = TypeVar("Task")


class WorkerError(RuntimeError):
    """An exception in a worker that is no UserError, hence a bug; the text is the worker's traceback."""


def available_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    work: Callable[[Task], Iterator[Any]], tasks: Sequence[Task], workers: int | None = None
) -> Generator[tuple[Task, Any], None, None]:
    """Call `work(task)` for each task in spawned processes; yields (task, item) for each item that a call yields.

    `work` is pickled once a process, so what it loads lazily is loaded once in each. Tasks begin in order; items of
    different tasks come interleaved. Processes: `workers`, or one per core, and never more than tasks. Closing the
    iterator kills them, and so does any error; they also die with this process, however it ends.

    Raises UserError and ModuleNotFoundError as `work` raised them, WorkerError for any other exception of it,
    ArtefactError if a process dies.
    """
    waiting = deque(tasks)
    busy: dict[Connection, tuple[BaseProcess, Task]] = {}
    try:
        with _environment():
            for _ in range(min(workers or available_cores(), len(tasks))):
                connection, process = _start(work)
                busy[connection] = process, waiting.popleft()
        for connection, (process, task) in busy.items():
            _send(connection, process, task)
        while busy:
            for ready in cast("list[Connection]", wait(list(busy))):
                process, task = busy[ready]
                try:
                    kind, item = ready.recv()
                except (EOFError, ConnectionError):
                    raise _death(process, task) from None
                if kind == "item":
                    yield task, item
                elif kind == "error":
                    raise item
                elif waiting:
                    busy[ready] = process, waiting.popleft()
                    _send(ready, *busy[ready])
                else:
                    ready.close()
                    process.join()
                    del busy[ready]
    finally:
        for process, _ in busy.values():
            process.kill()
        for connection, (process, _) in busy.items():
            process.join()
            connection.close()


def _start(work: Callable[..., Any]) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    process.start()
    theirs.close()  # so that its death is the end of the stream here
    return ours, process


def _send(connection: Connection, process: BaseProcess, task: object) -> None:
    try:
        connection.send(task)
    except BrokenPipeError:
        raise _death(process, task) from None


@contextmanager
def _environment() -> Iterator[None]:
    """What processes inherit that are started in here: SIGINT blocked, and one BLAS thread each.

    Ctrl-C reaches the whole process group, but it is this process that stops its workers. A core is theirs already, and
    threads of linear algebra on top of that only get in each other's way.
    """
    resource_tracker.ensure_running()  # else the first start does it, and unblocks SIGINT
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OPENBLAS_NUM_THREADS"]
        else:
            os.environ["OPENBLAS_NUM_THREADS"] = before
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _serve(connection: Connection, work: Callable[[Any], Iterator[Any]]) -> None:
    """The life of a worker: a task, its items, "done", and so on until the other end closes."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with suppress(EOFError, ConnectionError):
        while True:
            task = connection.recv()
            try:
                for item in work(task):
                    connection.send(("item", item))
            except (UserError, ModuleNotFoundError) as error:  # of a missing package the command says what to install
                connection.send(("error", error))
            except OSError as error:  # a full disk, a missing permission: the user's to put right
                connection.send(("error", ArtefactError(f"{task}: {error}")))
            except MemoryError:
                connection.send(("error", ArtefactError(f"{task}: there is not enough memory; try fewer workers")))
            except Exception:  # noqa: BLE001 (whatever it is, the parent raises it)
                connection.send(("error", WorkerError(traceback.format_exc())))
            else:
                connection.send(("done", None))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _death(process: BaseProcess, task: object) -> ArtefactError:
    process.join()
    code = process.exitcode or 0
    if code == -signal.SIGKILL:
        how = "was killed, most likely for lack of memory: try fewer workers; finished shards are kept"
    elif code < 0:
        how = f"died of {signal.Signals(-code).name}; finished shards are kept"
    else:
        how = f"ended with exit code {code}; what it printed stands above"
    return ArtefactError(f"the worker process at {task} {how}")
