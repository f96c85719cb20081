"""The engine: one for each thread that serves requests."""
from __future__ import annotations

import asyncio
import logging
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, Union

from . import _core, _route
from ._calls import Call, Converted, Driver
from ._types import Admission, Mechanism, Outcome, Placed, ProbeResult, Stat, nanoseconds, probe_result
from .cmdb import Cmdb

if TYPE_CHECKING:
    from .hooks import Hook
    from ._runner import Given
    from .policy import HostTable
    from .store import Store

__all__ = ["Engine"]

_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)


def _log(level: int, component: str, message: str) -> None:
    logging.getLogger(f"fastcontainer.{component}").log(_LEVELS[min(level, 3)], "%s", message)


class Engine:
    """
    Routes requests to containers.

    It belongs to the thread that makes it, and in asyncio to the loop that first awaits something of it. After ``fork()``
    the child makes its own: one from before raises `RuntimeError`. ``async with`` and ``with`` close it.

    Parameters
    ----------
    cmdb : str or Store
        ``"memory:NAME"``, ``"sqlite:/path"``, ``"etcd://..."``, ``"postgresql://..."``, or a store in Python.
    name : str, optional
        Of this proxy in records and logs; no two engines that run at once may share it. Default: machine and process.
    cluster_key_file : str, optional
        64 hexadecimal digits a line, one or two lines. Without it only loopback addresses are spoken to.
    bind : str, optional
        Numeric address, with a port if others name it as a peer, of the dispatch protocol's socket.
    policy : Policy, callable, or path of a Python file, optional
        Chooses hosts; default: keyed choices. See `fastcontainer.policy`.
    hook : callable, optional
        Is told of placements, starts and stops; see `fastcontainer.hooks`.
    witnesses, peers : iterable of str, optional
        Numeric addresses that answer ICMP; other routers, with ports.
    confirm : int, optional
        Peers that must agree that a host is gone.
    admission : Admission, optional
        What must be known of a silent host before its containers move.
    paper_profile : bool, optional
        One packet, no hedge: for comparison with the literature.
    queue_per_container, queue_total : int, optional
        Requests that may wait; 1,000 and 10,000.
    relocations_per_second, relocation_burst : int, optional
        Budget of this process; 100 and 1,000.
    relocate, prepare, scores : bool, optional
        False: never write a placement; never let a next host start a container before its present one is judged; ignore the
        scores that are published in the CMDB.
    wait, start, freshness, guard, service_deadline : float, optional
        Seconds; 30, 90, 0.010, 0.010 and 0.100.
    snapshot : str, optional
        A file for a start while the CMDB is away.
    snapshot_every : float, optional
        Seconds; 300.

    Raises
    ------
    Error
        `Invalid`, `SystemFault`, `CmdbUnavailable`, `NotFound` (no key file), `Permission`.
    """

    def __init__(self, cmdb: str | Store, *, name: str = "", cluster_key_file: str = "", bind: str = "",
                 policy: Given | None = None, hook: Hook | None = None,
                 witnesses: Iterable[str] = (), peers: Iterable[str] = (), confirm: int = 0,
                 admission: Admission = Admission.DEFAULT, paper_profile: bool = False, queue_per_container: int = 0,
                 queue_total: int = 0, relocations_per_second: int = 0, relocation_burst: int = 0,
                 relocate: bool = True, prepare: bool = True, scores: bool = True, wait: float = 0, start: float = 0, freshness: float = 0,
                 guard: float = 0, service_deadline: float = 0, snapshot: str = "", snapshot_every: float = 0) -> None:
        numbers = {"queue_per_container": queue_per_container, "queue_total": queue_total, "confirm": confirm,
                   "relocations_per_second": relocations_per_second, "relocation_burst": relocation_burst,
                   "wait_ns": nanoseconds(wait), "start_ns": nanoseconds(start), "freshness_ns": nanoseconds(freshness),
                   "guard_ns": nanoseconds(guard), "service_deadline_ns": nanoseconds(service_deadline),
                   "snapshot_every_ns": nanoseconds(snapshot_every)}
        options: dict[str, Any] = {key: value for key, value in numbers.items() if value}
        options.update(name=name, cluster_key_file=cluster_key_file, bind_address=bind, snapshot_path=snapshot,
                       witnesses=list(witnesses), peers=list(peers), admission=int(admission), log=_log,
                       profile=int(paper_profile), no_relocation=int(not relocate), no_prepare=int(not prepare),
                       no_scores=int(not scores))
        self._policy = _extend(options, cmdb, policy, hook)
        try:
            self._core = _core.Engine(options)
        except BaseException:
            if self._policy is not None:
                self._policy.close()
            raise
        if not isinstance(cmdb, str):
            cmdb._engine = self._core
        self._driver = Driver(self._core, self._core.wake)
        self.cmdb = Cmdb(self._core, self._driver)
        if self._policy is not None:
            self._policy.begin(self._core)

    # ---- routing ----

    def route(self, key: str, *, wait: float = 0, stream: bool = False,
              on_lost: _route.OnLost | None = None) -> _route.Route:
        """
        Where does the container of `key` run?

        Parameters
        ----------
        key : str
            As in the request, for example its host name.
        wait : float, optional
            Seconds that it may take; default: the engine's.
        stream : bool, optional
            A stream or tunnel, which may be silent for longer.
        on_lost : callable, optional
            Gets a `Lost` when the open ticket's host or container is lost; may cancel the request and `retry` it.

        Returns
        -------
        Route
            To be entered or awaited. Raises `UnknownKey`, `NoHost`, `CmdbUnavailable`, `StartFailed`, `QueueFull`,
            `TimedOut`, `Isolated`, `Budget`, `Invalid`, `Shutdown`; each has its `http_status`.
        """
        core = self._core
        if wait == 0 and not stream and on_lost is None:
            return _route.Route(self._driver, lambda finish: core.route(key, finish))
        return _route.Route(self._driver, lambda finish: core.route(key, finish, nanoseconds(wait), stream,
                                                                    _route.told(on_lost)))

    def retry(self, ticket: _route.Ticket, outcome: Outcome, *, bytes_written: bool, idempotent: bool = False,
              body_held: bool = False, response_begun: bool = False, wait: float = 0, stream: bool = False,
              on_lost: _route.OnLost | None = None) -> _route.Route:
        """
        End `ticket` and route its key again, if the request may be sent again.

        Parameters
        ----------
        ticket : Ticket
            Is over in any case.
        outcome : Outcome
            How the attempt went.
        bytes_written : bool
            At least one byte of the request was written to a connection.
        idempotent : bool
            GET, HEAD, OPTIONS, TRACE, PUT, DELETE.
        body_held : bool
            The whole request can be sent again.
        response_begun : bool
            A byte of the response has been forwarded.
        wait, stream, on_lost
            As for `route`.

        Returns
        -------
        Route
            Raises `Unsafe`, and as `route` does.
        """
        return _route.retry(self._driver, ticket, outcome, bytes_written=bytes_written, idempotent=idempotent,
                            body_held=body_held, response_begun=response_begun, wait_ns=nanoseconds(wait),
                            stream=stream, on_lost=on_lost)

    def place(self, container: str, host: str = "", reason: str = "") -> Call[Placed]:
        """Write the placement of `container`: on `host`, or on the best one. `NotFound`, `NoHost`, `Conflict`, `Veto`."""
        call = Converted(self._driver, lambda fields: Placed(*fields))
        call._op = self._core.place(container, host, reason, call._finish)
        return call

    def probe(self, host: str, port: int = 0, *, mechanism: Mechanism = Mechanism.NONE,
              **options: Union[float, int, tuple[float, ...], tuple[str, int]]) -> Call[ProbeResult]:
        """One verdict on a host with a numeric address; the options are those of `Prober.probe`. Also by `ECHO`."""
        from .prober import probe_options
        call = Converted(self._driver, probe_result)
        call._op = self._core.probe(host, port, probe_options(mechanism, options), call._finish)
        return call

    # ---- placement by scores ----

    def hosts(self) -> HostTable:
        """All hosts as they are now, column-wise: a copy, which stays as it is for as long as it is kept."""
        from .policy import HostTable
        return HostTable(self._core.hosts_now())

    def set_scores(self, scores: Mapping[str, float], class_name: str = "", valid: float = 30) -> None:
        """
        Say how good each host is for containers, in this engine only.

        They go before scores that are published in the CMDB, and after a `policy` that decides. Any thread.

        Parameters
        ----------
        scores : mapping of host id to float
            The higher the better; NaN and -inf: not this one. Hosts that are not there come last. Empty: those from before go.
        class_name : str, optional
            Of the containers; "": all whose class has no scores of its own here.
        valid : float, optional
            Seconds from now.
        """
        for host in scores:
            if not isinstance(host, str):
                raise TypeError(f"scores are of hosts' ids, which are str, not {host!r:.100}")
        given = {host: float(score) for host, score in scores.items()}
        if not self._core.set_scores_by_name(class_name, given, nanoseconds(valid)):
            raise RuntimeError("the engine is closed")

    # ---- numbers and keys ----

    def stats(self) -> list[Stat]:
        """All numbers, in the style of Prometheus; those of one name come together."""
        numbers = [Stat(*fields) for fields in self._core.stats()]
        if self._policy is not None:
            numbers += self._policy.stats()
        return numbers

    def reload_keys(self) -> None:
        """Read `cluster_key_file` again. On an error the keys in use stay: `Invalid`, `NotFound`, `Permission`."""
        self._core.reload_keys()

    # ---- the loop ----

    def fileno(self) -> int:
        """The one descriptor to poll for input, for loops of other kinds; then call `process`."""
        return self._core.fileno()

    def process(self) -> None:
        """Do what is ready; never blocks."""
        self._driver.process()

    def wake(self) -> None:
        """Make the descriptor readable. Any thread."""
        self._core.wake()

    def run_until(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Block until `done()`; False if `timeout` seconds were not enough. For scripts."""
        return self._driver.run_until(done, timeout)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._core.closed

    def close(self) -> None:
        """
        End everything.

        What is awaited raises `Shutdown`; no callback runs later. Open tickets are over.
        """
        if self._policy is not None:
            self._policy.close()
        if not self._core.closed:
            self._driver.detach()
            self._core.close()

    async def __aenter__(self) -> Engine:
        self._driver.attach()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self.close()
        await asyncio.sleep(0)  # those that were ended run before what follows the block

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is None or core.closed:
            return
        warnings.warn("an engine was not closed", ResourceWarning, stacklevel=2)
        try:
            self.close()
        except RuntimeError:
            pass  # another thread's or another process's: nobody here may end it


def _extend(options: dict[str, Any], cmdb: str | Store, policy: Given | None,
            hook: Hook | None) -> Any:
    if isinstance(cmdb, str):
        options["cmdb_url"] = cmdb
    else:
        from .store import adapted
        options["cmdb"] = adapted(cmdb)
    if hook is not None:
        from .hooks import Runner
        options["hooks"] = Runner(hook)
    if policy is None:
        return None
    from ._runner import Runner as PolicyRunner
    chooses = PolicyRunner(policy)
    if not chooses.settings.precompute:
        options["policy"] = chooses
    return chooses
