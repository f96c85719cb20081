"""Placement policies in Python."""
from __future__ import annotations

import logging
import time
from typing import Any, Callable, NamedTuple, Protocol, Sequence, TypeVar, Union

import numpy as np
import numpy.typing as npt

from . import _core
from ._columns import Column, Life
from ._types import Stat

__all__ = ["HostTable", "PlaceRequest", "Policy", "policy"]

_logger = logging.getLogger("fastcontainer.policy")
_DTYPES = {"id_hash": "u8", "flags": "u4", "free_cpu": "f4", "free_memory": "f8", "running": "u4", "starting": "u4",
           "in_flight": "u4", "response_ms": "f4", "error_rate": "f4", "rtt_ms": "f4", "report_age_s": "f4"}
_BUDGET = 0.005
_INVALID, _UNSUPPORTED = -1, -17


class PlaceRequest(NamedTuple):
    """
    What is to be placed.

    `cpu` (cores) and `memory` (bytes) are what its spec asks for, 0: nothing. `avoid_host` is the host that is being left,
    empty if there is none, and must not be returned.
    """

    container: str
    container_hash: int
    replica: int
    cpu: float
    memory: float
    avoid_host: str


class HostTable:
    """
    All hosts, column-wise, for one call of a policy.

    Each column is an array of shape (n,), read-only, and the library's own memory. It is valid during the call: used later
    it raises `RuntimeError`; `copy` what is to be kept.

    Attributes
    ----------
    flags : uint32
        `HostFlag`.
    free_cpu : float32
        Cores; +inf if never reported.
    free_memory : float64
        Bytes; +inf if never reported.
    running, starting : uint32
        Containers, as last reported.
    in_flight : uint32
        This process's open tickets.
    response_ms : float32
        This process's moving average; 0 if there is none.
    error_rate : float32
        0 to 1.
    rtt_ms : float32
        0 if never probed.
    report_age_s : float32
        Seconds; +inf if never reported.
    id_hash : uint64
        XXH3-64 of the host's id.
    """

    def __init__(self, columns: _core.HostColumns) -> None:
        self._columns = columns
        self._life = Life()

    def __len__(self) -> int:
        return len(self._columns)

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        dtype = _DTYPES.get(name)
        if dtype is None:
            raise AttributeError(name)
        column = self._life.array(self._columns.column(name), dtype)
        setattr(self, name, column)
        return column

    @property
    def ids(self) -> list[str]:
        """Of the hosts, made anew for each call."""
        return self._columns.ids()

    @property
    def zones(self) -> list[str]:
        """Their label "zone"; empty if they have none."""
        return self._columns.zones()

    def id(self, row: int) -> str:
        """Of one host."""
        return self._columns.id(row)

    def row(self, host: str) -> int:
        """Raises ValueError if there is no such host."""
        return self.ids.index(host)

    def _end(self) -> None:
        self._life.end()


Choice = Union[None, int, str, Sequence[Union[int, str]], Sequence[float], npt.NDArray[Any]]
PolicyFunction = Callable[[PlaceRequest, HostTable], Choice]
F = TypeVar("F", bound=PolicyFunction)


class Policy(Protocol):
    """
    Chooses hosts. Runs within a request, so it must not block; ``budget`` may be an attribute (seconds, 0.005).
    """

    def place(self, request: PlaceRequest, hosts: HostTable) -> Choice:
        """
        Choose.

        Returns
        -------
        int
            A row of `hosts`.
        str
            A host's id.
        sequence of int or str
            Rows or ids, best first.
        array or sequence of float, shape (n,)
            A score for each host, the highest is best; NaN and -inf: not this one.
        None
            The built-in policy decides.
        """


def policy(function: F | None = None, *, budget: float = _BUDGET) -> Any:
    """
    Mark a function as a policy with a time budget: ``@policy`` or ``@policy(budget=0.001)``.

    Parameters
    ----------
    budget : float
        Seconds for one call. A call that takes longer is not used.
    """
    def marked(one: F) -> F:
        setattr(one, "budget", budget)
        return one
    return marked if function is None else marked(function)


class Runner:
    """
    The vtable's side of a policy. Whatever is wrong with an answer is counted and logged, and the built-in policy decides:
    the request does not fail.
    """

    def __init__(self, given: Policy | PolicyFunction) -> None:
        self._place: PolicyFunction = given.place if hasattr(given, "place") else given
        self._budget_ns = round(getattr(given, "budget", _BUDGET) * 1e9)
        self._counts = {"used": 0, "declined": 0, "exception": 0, "wrong": 0, "overrun": 0}
        self._silent_until: dict[str, float] = {}

    def place(self, fields: tuple[Any, ...], columns: _core.HostColumns, capacity: int) -> list[int] | int:
        """Rows, or a code of the C ABI."""
        request = PlaceRequest(*fields)
        hosts = HostTable(columns)
        begin = time.perf_counter_ns()
        try:
            answer = self._place(request, hosts)
            took = time.perf_counter_ns() - begin
            if took > self._budget_ns:
                self._refuse("overrun", request, f"took {took / 1e6:.3f} of {self._budget_ns / 1e6:.3f} ms")
                return _INVALID
            if answer is None:
                self._counts["declined"] += 1
                return _UNSUPPORTED
            try:
                rows = rows_of(answer, hosts, request)[:capacity]
            except (TypeError, ValueError, OverflowError, RuntimeError) as error:
                self._refuse("wrong", request, str(error))
                return _INVALID
            self._counts["used"] += 1
            return rows
        except Exception:  # pylint: disable=broad-except
            if self._tells("exception"):
                _logger.exception("the policy failed for %s; the built-in one decides", request.container)
            return _INVALID
        finally:
            hosts._end()

    def _refuse(self, outcome: str, request: PlaceRequest, why: str) -> None:
        if self._tells(outcome):
            _logger.error("the policy's answer for %s is not used (%s): %s", request.container, outcome, why)

    def _tells(self, outcome: str) -> bool:
        """Counts it; a policy that is always wrong is logged once a second."""
        self._counts[outcome] += 1
        now = time.monotonic()
        if now < self._silent_until.get(outcome, 0):
            return False
        self._silent_until[outcome] = now + 1
        return True

    def stats(self) -> list[Stat]:
        text = "Placements that a policy in Python was asked for; all but used went to the built-in policy."
        return [Stat("fastcontainer_python_policy_calls_total", f'outcome="{outcome}"', 1, float(count), text)
                for outcome, count in self._counts.items()]


def rows_of(answer: Any, hosts: HostTable, request: PlaceRequest) -> list[int]:
    """The rows that a policy's answer means, best first; raises ValueError or TypeError for what means nothing."""
    count = len(hosts)
    if isinstance(answer, (str, int, np.integer)) and not isinstance(answer, bool):
        answer = [answer]
    if isinstance(answer, (list, tuple)) and any(isinstance(one, str) for one in answer):
        by_id = {host: row for row, host in enumerate(hosts.ids)}
        unknown = [one for one in answer if one not in by_id]
        if unknown:
            raise ValueError(f"there is no host {unknown[0]!r}")
        answer = [by_id[one] for one in answer]
    array = np.asarray(answer)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise TypeError(f"a row, a host, several of them or {count} scores are accepted, not {answer!r:.100}")
    if array.dtype.kind == "f":
        if array.shape != (count,):
            raise ValueError(f"{array.shape[0]} scores for {count} hosts")
        usable = np.flatnonzero(~np.isnan(array) & (array != -np.inf))
        array = usable[np.argsort(-array[usable], kind="stable")]
        if request.avoid_host:
            array = array[array != hosts.row(request.avoid_host)] if request.avoid_host in hosts.ids else array
    rows: list[int] = array.tolist()
    if any(not 0 <= row < count for row in rows):
        raise ValueError(f"rows are 0 to {count - 1}: {rows[:10]}")
    if not rows:
        raise ValueError("it names no host")
    if len(set(rows)) != len(rows):
        raise ValueError(f"a row is there twice: {rows[:10]}")
    if request.avoid_host and any(hosts.id(row) == request.avoid_host for row in rows):
        raise ValueError(f"{request.avoid_host} is to be avoided")
    return rows
