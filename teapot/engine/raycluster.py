"""Ray itself: one started on this machine for a run, or a cluster that is there already; and what its errors mean."""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from teapot.engine.raytasks import Failed, Ref, carry_out, carry_out_one, sweep
from teapot.errors import ConfigError, OutputError, Place, SourceUnavailable
from teapot.interrupts import undisturbed
from teapot.writer import clear_folder

RETRIES = 5
"""How often a task is run again whose worker or node was lost."""

LEAST_STORE = 100 * 1024 * 1024
"""Ray refuses to share less memory than about this between its processes, in bytes."""

PATIENCE = 20.0
"""How many seconds what is left to be removed on other nodes is waited for, when a run ends."""

_TOKEN = secrets.token_hex(32)
"""Only this process may use the Ray that it starts. Ray would otherwise write a token into the user's home."""

OWN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _TOKEN}


QUIET = ("RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO")
"""Nothing is reported to Ray's makers; and no advice about accelerators."""


def require_ray() -> None:
    """Raise ConfigError if Ray is not installed."""
    found = importlib.util.find_spec("ray")
    if found is None or found.origin is None:
        raise ConfigError("'--engine ray' needs Ray, which is not installed", hint="pip install 'teapot[ray]'")


class Cluster:
    """A connection to Ray. What was started is stopped by :meth:`close`; a cluster that was there is only left.

    Args:
        address: where the cluster is; by default ``RAY_ADDRESS``, else one is started here for this run.
        cpus: how many tasks a Ray that is started runs at once.
        memory: how many bytes its processes share; beyond that, it writes to the disk.
        home: a folder of this run, which its caller removes.

    Raises:
        ConfigError: Ray is not installed, or the address is none that can be used.
        SourceUnavailable: no cluster answers there.
    """

    def __init__(self, address: str | None, cpus: int, memory: int, home: Path) -> None:
        require_ray()
        address = address or os.environ.get("RAY_ADDRESS") or None
        if address is not None and "://" in address:
            raise ConfigError(
                f"'{address}' is the address of a Ray client",
                Place("--address"),
                "run teapot on a node of the cluster, with --address auto",
            )
        self._own = address is None
        self._sessions: Path | None = None
        self._apart: ThreadPoolExecutor | None = None
        self._pending: dict[Ref, None] = {}
        self._functions: dict[int, Any] = {}
        self._connected = False
        try:
            token = OWN if self._own and "RAY_AUTH_MODE" not in os.environ else {}
            with _environment(token), _signals_as_before(later=self._own):
                self._connect(address, cpus, memory, home)
        except BaseException:
            self.close()
            raise
        self.scratch = home if self._own else None

    def _connect(self, address: str | None, cpus: int, memory: int, home: Path) -> None:
        import logging

        for name in QUIET:
            os.environ.setdefault(name, "0")
        import ray

        self._ray = ray
        logging.getLogger("ray").setLevel(logging.ERROR)
        if ray.is_initialized():  # the caller's own program uses Ray: its connection is used, and kept
            self._own = False
            return
        common = {"log_to_driver": False, "configure_logging": False}
        if address is None:
            # a socket's path has little room: 107 bytes, of which Ray takes 64
            with undisturbed():
                self._sessions = Path(tempfile.mkdtemp(prefix="teapot-ray-", dir=min((tempfile.gettempdir(), "/tmp"), key=len)))
            self._connected = True
            # in the main thread Ray would take SIGTERM for itself; and what it starts ends with the thread that it was started from
            self._apart = ThreadPoolExecutor(1)
            self._apart.submit(
                ray.init, "local", num_cpus=cpus, object_store_memory=max(memory, LEAST_STORE), include_dashboard=False,
                _temp_dir=str(self._sessions), object_spilling_directory=str(home / "spilled"), **common,
            ).result()  # fmt: skip
            return
        try:
            _knock(address)
            ray.init(address, **common)
        except (OSError, RuntimeError, ValueError) as error:
            said = str(error).strip().partition("\n")[0]
            raise SourceUnavailable(f"no Ray cluster can be used at '{address}': {said}", Place("--address")) from None
        self._connected = True

    # ------------------------------------------------------------ tasks

    @property
    def here(self) -> Callable[[], str]:
        """A function that names the node it is called on."""
        return node_id

    @property
    def cpus(self) -> int:
        return max(int(self._ray.cluster_resources().get("CPU", 1)), 1)

    def share(self, value: Any) -> Ref:
        """A value that many tasks are given."""
        return self._ray.put(value)

    def submit(self, function: Callable[..., Iterator[Any]], returns: int, *arguments: Any) -> list[Ref]:
        """Run a function of ``raytasks`` somewhere; ``arguments`` may be refs, and stand for their values. The refs of what it yields."""
        if returns not in self._functions:
            self._functions[returns] = self._ray.remote(carry_out_one if returns == 1 else carry_out)
        remote = self._functions[returns].options(
            num_returns=returns, num_cpus=1, max_retries=RETRIES, name=f"teapot:{function.__name__}", scheduling_strategy="SPREAD"
        )
        made = remote.remote(function, *(() if returns == 1 else (returns,)), *arguments)
        refs: list[Ref] = [made] if returns == 1 else made
        self._pending[refs[0]] = None
        return refs

    def get(self, ref: Ref) -> Any:
        """A value, when it is there.

        Raises:
            TeapotError, OSError: of the task.
            OutputError: workers were lost too often.
            RuntimeError: a bug in the task.
        """
        from ray.exceptions import RayError, RayTaskError

        try:
            with _as_raised():
                value = self._ray.get(ref)
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, RayError):  # what the task was to be given is lost
                raise _lost(cause) from None
            raise RuntimeError(f"in a worker: {type(cause).__name__}: {cause}") from None
        except RayError as error:
            raise _lost(error) from None
        self._pending.pop(ref, None)
        if isinstance(value, Failed):
            raise value.error
        return value

    def first(self, refs: list[Ref]) -> Ref:
        """Whichever of these refs is there first."""
        with _as_raised():
            (ready, *_), _ = self._ray.wait(refs, num_returns=1, fetch_local=False)
        return ready

    def cancel(self, ref: Ref) -> None:
        """The task with this first value need not run."""
        self._pending.pop(ref, None)
        self._ray.cancel(ref, force=True)

    # ------------------------------------------------------------ the end

    def clear(self, token: str) -> None:
        """Stop what still runs, and remove the run's temporary files from every node of a cluster that stays."""
        if self._own:
            return
        from ray.exceptions import RayError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        pending = list(self._pending)
        for ref in pending:
            with suppress(RayError, ValueError):
                self.cancel(ref)
        if pending:
            self._ray.wait(pending, num_returns=len(pending), timeout=PATIENCE, fetch_local=False)
        remote = self._ray.remote(sweep)
        sweeps = [
            remote.options(
                num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(None, token)
            for node in self._ray.nodes()
            if node["Alive"]
        ]
        self._ray.wait(sweeps, num_returns=len(sweeps), timeout=PATIENCE, fetch_local=False)

    def close(self) -> None:
        if self._connected:
            self._connected = False
            with _signals_as_before(later=self._own):
                self._ray.shutdown()
        if self._apart is not None:
            self._apart.shutdown()
        if self._sessions is not None:
            clear_folder(self._sessions)


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at ``HOST:PORT``: Ray itself would go on asking for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


def node_id() -> str:
    """The node of Ray that this process runs on."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _lost(error: Exception) -> OutputError:
    return OutputError(
        f"Ray lost a worker or a node more than {RETRIES} times ({type(error).__name__})",
        hint="workers are killed when memory is short: use fewer CPUs a node, or nodes with more memory, then run again",
    )


@contextmanager
def _as_raised() -> Iterator[None]:
    """What a signal's handler raises while Ray waits comes out of it as it was raised."""
    try:
        yield
    except SystemError as error:
        raise error.__cause__ or error from None


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _signals_as_before(*, later: bool) -> Iterator[None]:
    """Undo what Ray does about signals in this process. With ``later`` interrupts wait until a Ray of our own has started or stopped: it would leave
    processes behind. Blocking them would not do, because the processes that Ray starts would inherit that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    arrived: list[int] = []
    if later:
        for number in numbers:
            signal.signal(number, lambda number, _frame: arrived.append(number))
    try:
        yield
    except SystemExit:  # Ray's own answer to SIGTERM
        arrived.append(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])
