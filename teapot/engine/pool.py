"""Workers: this process alone for small jobs, or others that are told what to do over a pipe.

A worker is this interpreter started anew, with the same search path. It ends when its pipe does, so none outlives the run, however that ends.
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any, Protocol

from teapot.errors import OutputError, TeapotError
from teapot.interrupts import INTERRUPTS

Report = Callable[[int], None]

FILES = 4096
"""How many files a worker may have open."""


class Crew(Protocol):
    """What a worker can do: named methods, called with one argument and a report of progress."""

    def call(self, name: str, argument: Any, report: Report) -> Any: ...


class Pool(Protocol):
    """A number of workers that carry out calls."""

    workers: int

    def each(self, name: str, arguments: Iterable[Any], report: Report, at_once: int = 1) -> Iterator[Any]:
        """Call ``name`` with every argument, spread over the workers; the results come as they are ready.

        A worker is given so many calls ``at_once``: with two it need not wait for the next one, but of calls that take long, another worker may have none.

        Raises:
            TeapotError: of the earliest argument for which there was one, whichever worker met it first.
            OutputError: a worker was killed.
        """
        ...

    def all(self, name: str, argument: Any) -> list[Any]:
        """Call ``name`` once in every worker."""
        ...

    def close(self) -> None: ...


class Alone:
    """No other process: calls are carried out here, in order."""

    workers = 1

    def __init__(self, make: Callable[[int], Crew]) -> None:
        self._crew = make(0)

    def each(self, name: str, arguments: Iterable[Any], report: Report, at_once: int = 1) -> Iterator[Any]:
        for argument in arguments:
            yield self._crew.call(name, argument, report)

    def all(self, name: str, argument: Any) -> list[Any]:
        return self.begin(name, argument)()

    def begin(self, name: str, argument: Any) -> Callable[[], list[Any]]:
        """The call of :meth:`all`, which is made when its results are asked for."""
        return lambda: [self._crew.call(name, argument, lambda _: None)]

    def close(self) -> None:
        """Nothing is left."""


class Worker:
    """The parent's side of one worker."""

    def __init__(self, number: int, make: Callable[[int], Crew]) -> None:
        ours, theirs = os.pipe(), os.pipe()
        code = (
            f"import gc, sys; gc.disable(); sys.path[:] = {sys.path!r}; from teapot.engine.pool import serve; serve({ours[0]}, {theirs[1]})"
        )
        # a signal for all processes of the terminal is the parent's alone: workers inherit that it is blocked, from their first moment on
        before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code], pass_fds=(ours[0], theirs[1]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # numpy's own threads have nothing to do here, and take a moment to do it
            )  # fmt: skip
        except BaseException:
            os.close(ours[1])
            os.close(theirs[0])
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(ours[0])
            os.close(theirs[1])
        self.number = number
        self.requests = Connection(ours[1], readable=False)
        self.answers = Connection(theirs[0], writable=False)
        with self.alive():
            self.requests.send_bytes(pickle.dumps((make, number)))

    def ask(self, name: str, argument: Any) -> None:
        with self.alive():
            self.requests.send((name, argument))

    def answer(self) -> tuple[str, Any]:
        with self.alive():
            data = self.answers.recv_bytes()
        kind, value = pickle.loads(data)
        return kind, value

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Turn a broken pipe into an OutputError that says how the worker ended."""
        try:
            yield
        except (EOFError, OSError):
            raise OutputError(f"worker {self.number + 1} {_ending(self.process.wait())}", hint=DIED) from None

    def stop(self) -> None:
        self.requests.close()
        self.answers.close()
        self.process.kill()
        self.process.wait()


class Workers:
    """Several worker processes. ``make(number)`` makes a worker's crew in its own process, so it must be picklable."""

    def __init__(self, workers: int, make: Callable[[int], Crew]) -> None:
        self.workers = workers
        self._workers: list[Worker] = []
        try:
            for number in range(workers):
                self._workers.append(Worker(number, make))
        except BaseException:
            self.close()
            raise

    def each(self, name: str, arguments: Iterable[Any], report: Report, at_once: int = 1) -> Iterator[Any]:
        todo = enumerate(arguments)
        ahead = next(todo, None)
        asked: dict[Connection, tuple[Worker, deque[int]]] = {worker.answers: (worker, deque()) for worker in self._workers}
        failed: tuple[int, TeapotError] | None = None

        def start(worker: Worker) -> None:
            nonlocal ahead
            if ahead is not None and failed is None:
                worker.ask(name, ahead[1])
                asked[worker.answers][1].append(ahead[0])
                ahead = next(todo, None)  # made while the workers are busy, so that none waits for it

        for _ in range(at_once):
            for worker in self._workers:
                start(worker)
        while busy := [connection for connection, (_, numbers) in asked.items() if numbers]:
            for connection in wait(busy):
                worker, numbers = asked[connection]  # type: ignore[index]
                kind, value = self._receive(worker)
                if kind == "tick":
                    report(value)
                    continue
                number = numbers.popleft()
                if kind == "error" and (failed is None or number < failed[0]):
                    failed = (number, value)
                start(worker)  # before what the value is wanted for, which may take a while
                if kind == "done":
                    yield value
        if failed is not None:
            raise failed[1]

    def all(self, name: str, argument: Any) -> list[Any]:
        return self.begin(name, argument)()

    def begin(self, name: str, argument: Any) -> Callable[[], list[Any]]:
        """Begin the call of :meth:`all`; what is returned waits for its results. Nothing else may be called in between."""
        for worker in self._workers:
            worker.ask(name, argument)
        return self._results

    def _results(self) -> list[Any]:
        results = []
        for worker in self._workers:
            kind, value = self._receive(worker)
            while kind == "tick":
                kind, value = self._receive(worker)
            if kind == "error":
                raise value
            results.append(value)
        return results

    def _receive(self, worker: Worker) -> tuple[str, Any]:
        kind, value = worker.answer()
        if kind == "refused":
            raise value
        if kind == "bug":
            raise RuntimeError(f"in a worker: {value}")
        return kind, value

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers.clear()


DIED = "the system kills processes when memory is short: use fewer --workers or less --memory, then run again"


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed ({name})"


def serve(requests_handle: int, answers_handle: int) -> None:
    """A worker's life: make its crew, answer requests until there are no more."""
    _allow_files()
    requests = Connection(requests_handle, writable=False)
    answers = Connection(answers_handle, readable=False)
    waiting: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    try:
        make, number = pickle.loads(requests.recv_bytes())
        crew: Crew = make(number)
        threading.Thread(target=_listen, args=(requests, waiting), daemon=True).start()
        gc.freeze()  # what was imported until here stays
        gc.enable()
        while True:
            _answer(crew, *waiting.get(), answers)
    except (EOFError, OSError):
        os._exit(0)


def _listen(requests: Connection, waiting: SimpleQueue[tuple[str, Any]]) -> None:
    """Take requests as they come. Who sends a long one could not read a long answer meanwhile, and both sides would wait for ever."""
    try:
        while True:
            waiting.put(requests.recv())
    except (EOFError, OSError):
        os._exit(0)  # the other side has ended
    except BaseException:  # noqa: BLE001  (told as Python tells it of its first thread)
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _allow_files() -> None:
    """Let this process have more files open than the usual 1,024, where the system's limit for all leaves that to it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _answer(crew: Crew, name: str, argument: Any, answers: Connection) -> None:
    try:
        result = crew.call(name, argument, lambda amount: answers.send(("tick", amount)))
    except TeapotError as error:
        answers.send(("error", error))
    except OSError as error:
        answers.send(("refused", error))  # raised there as it would have been without workers
    except Exception as error:  # noqa: BLE001  (told to the parent, which reports it as a bug)
        answers.send(("bug", f"{type(error).__name__}: {error}"))
    else:
        answers.send(("done", result))


def usable_cpus() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
