"""The dispatcher of a host, and runtimes of one's own."""
from __future__ import annotations

import json
import logging
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from . import _core
from ._calls import Call, Converted
from ._types import ContainerState, nanoseconds
from .engine import Engine

__all__ = ["Container", "Dispatcher", "Operation", "Runtime", "StartRequest"]

_logger = logging.getLogger("fastcontainer.runtime")
_START_FAILED, _NOT_FOUND, _SYSTEM = -8, -4, -3
_WATCH_DELETE = 2


class StartRequest(NamedTuple):
    """What is to be started. `instance` names this start, unique for ever; `spec` has its class's defaults."""

    instance: str
    container: str
    replica: int
    spec: dict[str, Any]
    spec_revision: str
    epoch: int
    address: tuple[str, int]
    prepared: bool


class Container(NamedTuple):
    """A container of a dispatcher; `tickets`: open ones, as the routers last reported."""

    container: str
    instance: str
    state: ContainerState
    epoch: int
    address: tuple[str, int]
    leases: int
    tickets: int
    waiting: int


class Operation:
    """What a runtime was asked to do. It is ended once, from any thread."""

    __slots__ = ("_core", "_op", "_failed")

    def __init__(self, core: _core.Engine, op: int, failed: int) -> None:
        self._core = core
        self._op = op
        self._failed = failed

    def done(self) -> bool:
        """It has been done. False: nobody waits for it any more."""
        return self._core.complete(self._op)

    def failed(self, message: str) -> bool:
        """It could not be done; of a start: nothing is left of it. False: nobody waits for it any more."""
        return self._core.complete(self._op, self._failed, message)

    def found(self, instances: list[dict[str, Any]]) -> bool:
        """Of `Runtime.recover`: each is an "instance" with "container", "replica", "epoch", "spec_revision", "address"
        ("host:port") and "ready"."""
        records = []
        for given in instances:
            value = dict(given)
            records.append((value.pop("instance"), json.dumps(value), 1))
        return self._core.complete(self._op, 0, "", records)

    def ended(self, instance: str, reason: str) -> bool:
        """Of `Runtime.watch_exits`, as often as it happens: a ready instance has ended by itself."""
        return self._core.complete(self._op, 0, reason, [(instance, "", 1)], watch_kind=_WATCH_DELETE)


class Runtime(Protocol):
    """
    Starts and stops containers. Methods run on the engine's thread, must not block, and end the `Operation` that they are
    given, at once or later; one that raises has failed.
    """

    def start(self, operation: Operation, request: StartRequest) -> None:
        """Ends when the container listens on `request.address` and is ready."""

    def stop(self, operation: Operation, instance: str, grace: float) -> None:
        """Ends when nothing of it is left. `grace`: seconds until it is to be killed."""

    def recover(self, operation: Operation) -> None:
        """What an earlier process has left running, by `Operation.found`."""

    def watch_exits(self, operation: Operation) -> None:
        """Called once; afterwards `Operation.ended` for each instance that ends by itself."""


class _Runner:
    """The vtable's side of a runtime."""

    def __init__(self, core: _core.Engine, runtime: Runtime) -> None:
        self._core = core
        self._runtime = runtime

    def start(self, op: int, fields: tuple[Any, ...]) -> None:
        operation = Operation(self._core, op, _START_FAILED)
        instance, container, replica, spec, *rest = fields
        try:
            self._runtime.start(operation, StartRequest(instance, container, replica, json.loads(spec), *rest))
        except Exception as error:  # the dispatcher says so to who waits
            _logger.exception("start of %s", container)
            operation.failed(f"{type(error).__name__}: {error}")

    def stop(self, op: int, instance: str, grace_ns: int) -> None:
        operation = Operation(self._core, op, _NOT_FOUND)
        try:
            self._runtime.stop(operation, instance, grace_ns / 1e9)
        except Exception as error:
            _logger.exception("stop of %s", instance)
            operation.failed(f"{type(error).__name__}: {error}")

    def recover(self, op: int) -> None:
        self._runtime.recover(Operation(self._core, op, _SYSTEM))

    def watch_exits(self, op: int) -> None:
        self._runtime.watch_exits(Operation(self._core, op, _SYSTEM))


class Dispatcher:
    """
    Makes this process the dispatcher of a host.

    Parameters
    ----------
    engine : Engine
        Its end closes the dispatcher, and nothing else does but `close`.
    host : str
        This host's id in the CMDB.
    address, port : optional
        Where containers listen, numeric, and the UDP port of the dispatch protocol; default: as in its record.
    runtime : Runtime, optional
        Default: processes, which need `state_directory`.
    state_directory, log_directory : str, optional
        Survive restarts; output of containers.
    max_starts, max_containers : int, optional
        At once; two per core and 10,000.
    ports : (int, int), optional
        Of containers, 20000 to 29999.
    cpu, memory : optional
        Capacity, cores and bytes; default: this machine's.
    labels : dict, optional
        Of the host record, for example ``{"zone": "a"}``.
    subreaper : bool, optional
        Become the reaper of orphaned descendants.

    Raises
    ------
    Error
        `Invalid`, `Unsupported`, `SystemFault`, `Permission`.
    """

    def __init__(self, engine: Engine, host: str, *, address: str = "", port: int = 0, runtime: Runtime | None = None,
                 state_directory: str = "", log_directory: str = "", max_starts: int = 0, max_containers: int = 0,
                 ports: tuple[int, int] = (0, 0), cpu: float = 0, memory: int = 0,
                 labels: dict[str, str] | None = None, subreaper: bool = False) -> None:
        numbers = {"port": port, "max_starts": max_starts, "max_containers": max_containers, "port_first": ports[0],
                   "port_last": ports[1], "cpu": float(cpu), "memory": memory, "subreaper": int(subreaper)}
        options: dict[str, Any] = {key: value for key, value in numbers.items() if value}
        options.update(host=host, address=address, state_directory=state_directory, log_directory=log_directory)
        if labels is not None:
            options["labels_json"] = json.dumps(labels)
        if runtime is not None:
            options["runtime_object"] = _Runner(engine._core, runtime)
        self._driver = engine._driver
        self._ready: Call[None] = Call(engine._driver)
        self._core = _core.Dispatcher(engine._core, options, self._ready._finish)

    @property
    def ready(self) -> Call[None]:
        """Ends when it serves; raises why it cannot."""
        return self._ready

    def drain(self, grace: float = 0) -> Call[None]:
        """Revoke all leases, let tickets end for at most `grace` seconds, stop all containers."""
        call: Call[None] = Converted(self._driver, lambda _fields: None)
        self._core.drain(nanoseconds(grace), call._finish)
        return call

    def containers(self) -> list[Container]:
        """All of this host."""
        return [Container(fields[0], fields[1], ContainerState(fields[2]), *fields[3:]) for fields in self._core.list()]

    def close(self) -> None:
        """Stop serving; containers go on running, and the host's next dispatcher adopts them."""
        self._core.close()

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Dispatcher:
        await self._ready
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self.close()
