"""The vtable's side of a policy: what is wrong with an answer is found here."""
from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from . import _core
from ._types import Stat
from .policy import _BUDGET, File, HostTable, PlaceRequest, Policy, PolicyFunction

Given = Union[Policy, PolicyFunction, "type[Policy]", File, str, "os.PathLike[str]"]
_logger = logging.getLogger("fastcontainer.policy")
_INVALID, _UNSUPPORTED = -1, -17
_LOOKS_EVERY = 1.0


class Runner:
    """
    Whatever is wrong with an answer is counted and logged, and the built-in policy decides: the request does not fail.
    """

    def __init__(self, given: Given) -> None:
        self._file = File(given) if isinstance(given, (str, os.PathLike)) else given if isinstance(given, File) else None
        self._given: Any = given() if isinstance(given, type) else given
        self._counts = {"used": 0, "declined": 0, "exception": 0, "wrong": 0, "overrun": 0}
        self._silent_until: dict[str, float] = {}
        self._over = threading.Event()
        if self._file is not None:
            threading.Thread(target=_look, args=(self._file, self._over), name="fastcontainer-policy", daemon=True).start()

    def place(self, fields: tuple[Any, ...], columns: _core.HostColumns, capacity: int) -> list[int] | int:
        """Rows, or a code of the C ABI."""
        chooses = self._given if self._file is None else self._file.current
        budget_ns = round(getattr(chooses, "budget", _BUDGET) * 1e9)
        request = PlaceRequest(*fields)
        hosts = HostTable(columns)
        begin = time.perf_counter_ns()
        try:
            answer = (chooses.place if hasattr(chooses, "place") else chooses)(request, hosts)
            took = time.perf_counter_ns() - begin
            if took > budget_ns:
                self._refuse("overrun", request, f"took {took / 1e6:.3f} of {budget_ns / 1e6:.3f} ms")
                return _INVALID
            if answer is None:
                self._counts["declined"] += 1
                return _UNSUPPORTED
            try:
                rows = rows_of(answer, hosts, request, capacity)
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
        numbers = [Stat("fastcontainer_python_policy_calls_total", f'outcome="{outcome}"', 1, float(count), text)
                   for outcome, count in self._counts.items()]
        if self._file is not None:
            text = "Times that the policy's file was loaded; where that failed the policy stayed as it was."
            numbers += [Stat("fastcontainer_python_policy_loads_total", f'outcome="{outcome}"', 1, float(count), text)
                        for outcome, count in self._file.loads.items()]
        return numbers

    def close(self) -> None:
        """The engine is no more."""
        self._over.set()


def _look(file: File, over: threading.Event) -> None:
    while not over.wait(_LOOKS_EVERY):
        file.check()


def rows_of(answer: Any, hosts: HostTable, request: PlaceRequest, capacity: int) -> list[int]:
    """The best `capacity` rows that a policy's answer means; raises ValueError or TypeError for what means nothing."""
    count = len(hosts)
    if isinstance(answer, (str, int, np.integer)) and not isinstance(answer, bool):
        answer = [answer]
    if isinstance(answer, (list, tuple)) and any(isinstance(one, str) for one in answer):
        answer = [hosts.row(one) if isinstance(one, str) else one for one in answer[:capacity]]
        if any(isinstance(one, float) for one in answer):
            raise TypeError(f"hosts and scores are mixed: {answer!r:.100}")
    array = np.asarray(answer)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise TypeError(f"a row, a host, several of them or {count} scores are accepted, not {answer!r:.100}")
    if array.dtype.kind == "f":
        if array.shape != (count,):
            raise ValueError(f"{array.shape[0]} scores for {count} hosts")
        array = best(array, hosts, request, capacity)
    rows: list[int] = array[:capacity].tolist()
    if any(not 0 <= row < count for row in rows):
        raise ValueError(f"rows are 0 to {count - 1}: {rows[:10]}")
    if not rows:
        raise ValueError("it names no host")
    if len(set(rows)) != len(rows):
        raise ValueError(f"a row is there twice: {rows[:10]}")
    if request.avoid_host and any(hosts.id(row) == request.avoid_host for row in rows):
        raise ValueError(f"{request.avoid_host} is to be avoided")
    return rows


def best(scores: npt.NDArray[Any], hosts: HostTable, request: PlaceRequest, capacity: int) -> npt.NDArray[Any]:
    """Rows by score; among equal ones by a hash of container and host."""
    usable = np.flatnonzero(scores > -np.inf)  # NaN is not
    if request.avoid_host:
        usable = usable[usable != hosts._columns.row(request.avoid_host)]
    if len(usable) > capacity:
        kept = scores[usable]
        usable = usable[kept >= np.partition(kept, len(kept) - capacity)[len(kept) - capacity]]
    mixed = (hosts.id_hash[usable] ^ np.uint64(request.container_hash)) * np.uint64(0x9E3779B97F4A7C15)
    rows: npt.NDArray[Any] = usable[np.lexsort((mixed, -scores[usable]))]
    return rows
