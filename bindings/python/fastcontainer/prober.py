"""Verdicts on hosts, without an engine."""
from __future__ import annotations

import socket
import weakref
from types import TracebackType
from typing import Any, Iterable, Mapping

from . import _core
from ._calls import Call, Converted, Driver
from ._types import Mechanism, ProbeResult, nanoseconds, probe_result

__all__ = ["Prober", "probe_once"]

_SECONDS = {"deadline": "deadline_ns", "deadline_max": "deadline_max_ns", "freshness": "freshness_ns"}
_NUMBERS = ("interface_index", "size", "dscp", "ttl")


def probe_options(mechanism: Mechanism, given: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"mechanism": int(mechanism)}
    for name, value in given.items():
        if name in _SECONDS:
            options[_SECONDS[name]] = nanoseconds(value)
        elif name == "hedge":
            options["hedge_ns"] = tuple(nanoseconds(one) for one in value)
        elif name == "source":
            options["source"] = (value, 0) if isinstance(value, str) else tuple(value)
        elif name == "dont_fragment":
            options["flags"] = int(bool(value))
        elif name in _NUMBERS:
            options[name] = int(value)
        else:
            accepted = ", ".join(sorted([*_SECONDS, *_NUMBERS, "hedge", "source", "dont_fragment"]))
            raise TypeError(f"unknown option {name!r}; accepted are {accepted}")
    return options


def probe_once(host: str, port: int = 0, *, mechanism: Mechanism = Mechanism.NONE, **options: Any) -> ProbeResult:
    """
    One verdict, blocking until it is there; for scripts.

    Parameters are those of `Prober.probe`. Raises `Permission`, whose message names what would permit it.
    """
    return probe_result(_core.probe_once(host, port, probe_options(mechanism, options)))


class _Batch(Call[list[ProbeResult]]):
    __slots__ = ("_results", "_left")

    def __init__(self, driver: Driver, count: int) -> None:
        super().__init__(driver)
        self._results: list[Any] = [None] * count
        self._left = count
        if count == 0:
            self._finish(None, None)

    def _tell(self, index: int, fields: Any) -> None:
        self._results[index] = probe_result(fields)
        self._left -= 1
        if self._left == 0:
            self._finish(None, None)

    def _convert(self, value: Any) -> list[ProbeResult]:
        return self._results


class Prober:
    """
    Asks whether hosts are up: ``await prober.probe("10.0.0.7")``.

    It belongs to the thread that makes it; after ``fork()`` the child makes its own.

    Parameters
    ----------
    mechanism : Mechanism
        For probes that name none; `NONE`: ICMP by whichever socket is permitted.
    receive_buffer : int
        Bytes for each socket; 0: 1 MiB.

    Raises
    ------
    Permission
        The message names the sysctl or capability that would allow it.
    """

    def __init__(self, mechanism: Mechanism = Mechanism.NONE, receive_buffer: int = 0) -> None:
        self._core = _core.Prober(int(mechanism), receive_buffer)
        self._driver = Driver(self._core)
        self._open: weakref.WeakSet[Call[Any]] = weakref.WeakSet()  # the callbacks hold them

    def probe(self, host: str, port: int = 0, *, mechanism: Mechanism = Mechanism.NONE,
              **options: Any) -> Call[ProbeResult]:
        """
        One verdict on a host.

        Parameters
        ----------
        host : str
            Numeric, IPv4 or IPv6.
        port : int
            Needed by all but ICMP.
        mechanism : Mechanism
            `NONE`: the prober's.
        deadline, deadline_max, freshness : float, optional
            Seconds: from the first packet (0.010); to what slow answers so far may raise it; how old evidence may be that
            answers without a packet.
        hedge : tuple of float, optional
            Seconds after the first packet at which another one is sent, at most two.
        source : str or (str, int), optional
            Address to send from.
        interface_index, size, dscp, ttl : int, optional
            To leave by; payload bytes; RFC 2474; hop limit.
        dont_fragment : bool, optional
            What is too big for a link on the way is unreachable.
        """
        call = Converted(self._driver, probe_result)
        call._op = self._core.probe(host, port, probe_options(mechanism, options),
                                    lambda fields: call._finish(None, fields))
        self._open.add(call)
        self._driver.arm()
        return call

    def batch(self, hosts: Iterable[str | tuple[str, int]], *, packets_per_second: int = 0,
              mechanism: Mechanism = Mechanism.NONE, **options: Any) -> Call[list[ProbeResult]]:
        """A verdict on each of `hosts`, in their order, at most so many packets in a second (0: no limit)."""
        addresses = [(host, 0) if isinstance(host, str) else host for host in hosts]
        call = _Batch(self._driver, len(addresses))
        if addresses:
            call._op = self._core.batch(addresses, probe_options(mechanism, options), packets_per_second, call._tell)
            self._open.add(call)
            self._driver.arm()
        return call

    def mechanism(self, family: socket.AddressFamily = socket.AF_INET) -> Mechanism:
        """What serves probes that name none; `NONE`: nothing is permitted."""
        return Mechanism(self._core.mechanism(family))

    def note_alive(self, host: str, rtt: float = 0) -> None:
        """Evidence of life without a probe, for probes with `freshness`. `rtt`: seconds; 0: unknown."""
        self._core.note_alive(host, 0, nanoseconds(rtt))

    def note_connection(self, connection: int | socket.socket) -> None:
        """What the kernel knows of a TCP connection's peer counts as evidence. `NotFound`: it knows nothing yet."""
        self._core.note_connection(connection if isinstance(connection, int) else connection.fileno())

    def stats(self) -> dict[str, int]:
        """Counters of packets, and `open`: probes without a verdict."""
        return self._core.stats()

    def fileno(self) -> int:
        """To poll for reading; then, and when `deadline_ns` has passed, call `process`."""
        return self._core.fileno()

    def deadline_ns(self) -> int:
        """``time.monotonic_ns()`` at which there is something to do; 2**64 - 1: never."""
        return self._core.deadline_ns()

    def process(self) -> None:
        """Do what is ready; never blocks."""
        self._driver.process()

    def close(self) -> None:
        """What is awaited is cancelled."""
        if self._core.closed:
            return
        self._driver.detach()
        for call in list(self._open):
            call.cancel()
        self._core.close()

    def __enter__(self) -> Prober:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Prober:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self.close()
