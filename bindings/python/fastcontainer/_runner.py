"""What runs a policy: what is wrong with an answer is found here."""
from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, Callable, TypeVar, Union

import numpy as np
import numpy.typing as npt

from . import _core
from ._types import Stat
from .policy import File, HostTable, PlaceRequest, Policy, PolicyFunction, Settings, settings_of

Given = Union[Policy, PolicyFunction, "type[Policy]", File, str, "os.PathLike[str]"]
T = TypeVar("T")
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
        self.over = threading.Event()
        if self._file is not None:
            threading.Thread(target=_look, args=(self._file, self.over), name="fastcontainer-policy", daemon=True).start()

    def begin(self, core: _core.Engine) -> None:
        """The engine is there."""
        if self.settings.precompute:
            from ._precompute import Scorer
            self._scorer = Scorer(self, core)

    @property
    def settings(self) -> Settings:
        return settings_of(self._given if self._file is None else self._file.current)

    def place(self, fields: tuple[Any, ...], columns: _core.HostColumns, capacity: int) -> list[int] | int:
        """Of the vtable: rows, or a code of the C ABI."""
        request = PlaceRequest(*fields)
        outcome, rows = self.ask(request, columns, lambda answer, hosts: rows_of(answer, hosts, request, capacity))
        return rows if rows is not None else _UNSUPPORTED if outcome == "declined" else _INVALID

    def ask(self, request: PlaceRequest, columns: _core.HostColumns,
            read: Callable[[Any, HostTable], T], budget: float = 0) -> tuple[str, T | None]:
        """
        One call: its outcome, and what `read` makes of the answer if that is used. It has at least `budget` seconds.
        """
        chooses = self._given if self._file is None else self._file.current
        hosts = HostTable(columns)
        begin = time.perf_counter_ns()
        try:
            answer = (chooses.place if hasattr(chooses, "place") else chooses)(request, hosts)
            took = (time.perf_counter_ns() - begin) / 1e9
            budget = max(budget, settings_of(chooses).budget)
            if took > budget:
                return self._refuse("overrun", request, f"took {took * 1e3:.3f} of {budget * 1e3:.3f} ms")
            if answer is None:
                self._counts["declined"] += 1
                return "declined", None
            try:
                value = read(answer, hosts)
            except (TypeError, ValueError, OverflowError, RuntimeError) as error:
                return self._refuse("wrong", request, str(error))
            self._counts["used"] += 1
            return "used", value
        except Exception:  # pylint: disable=broad-except
            if self._tells("exception"):
                _logger.exception("the policy failed for %s; the built-in one decides", _whom(request))
            return "exception", None
        finally:
            hosts._end()

    def _refuse(self, outcome: str, request: PlaceRequest, why: str) -> tuple[str, None]:
        if self._tells(outcome):
            _logger.error("the policy's answer for %s is not used (%s): %s", _whom(request), outcome, why)
        return outcome, None

    def _tells(self, outcome: str) -> bool:
        """Counts it; a policy that is always wrong is logged once a second."""
        self._counts[outcome] += 1
        now = time.monotonic()
        if now < self._silent_until.get(outcome, 0):
            return False
        self._silent_until[outcome] = now + 1
        return True

    def stats(self) -> list[Stat]:
        text = "Answers of a policy in Python; where one is not used, the built-in policy decides."
        numbers = [Stat("fastcontainer_python_policy_calls_total", f'outcome="{outcome}"', 1, float(count), text)
                   for outcome, count in self._counts.items()]
        if self._file is not None:
            text = "Times that the policy's file was loaded; where that failed the policy stayed as it was."
            numbers += [Stat("fastcontainer_python_policy_loads_total", f'outcome="{outcome}"', 1, float(count), text)
                        for outcome, count in self._file.loads.items()]
        return numbers

    def close(self) -> None:
        """The engine is no more."""
        self.over.set()


def _look(file: File, over: threading.Event) -> None:
    while not over.wait(_LOOKS_EVERY):
        file.check()


def _whom(request: PlaceRequest) -> str:
    return request.container or f"class {request.class_name or '*'}"


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
        array = best(_scores(array, hosts), hosts, request, capacity)
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


def scores_of(answer: Any, hosts: HostTable) -> npt.NDArray[np.float64]:
    """An array of scores of its own; raises as `rows_of`. What is chosen in advance is scores, for all containers at once."""
    array = np.asarray(answer)
    if array.ndim != 1 or array.dtype.kind != "f":
        raise TypeError(f"{len(hosts)} scores are accepted in advance, not {answer!r:.100}")
    return np.array(_scores(array, hosts), np.float64)


def _scores(array: npt.NDArray[Any], hosts: HostTable) -> npt.NDArray[Any]:
    if array.shape != (len(hosts),):
        raise ValueError(f"{array.shape[0]} scores for {len(hosts)} hosts")
    return array


def best(scores: npt.NDArray[Any], hosts: HostTable, request: PlaceRequest, capacity: int) -> npt.NDArray[Any]:
    """Rows by score; among equal ones by a hash of container and host."""
    usable = np.flatnonzero(scores > -np.inf)  # NaN is not
    if request.avoid_host:
        usable = usable[usable != hosts._columns.row(request.avoid_host)]
    if len(usable) > capacity:
        kept = scores[usable]
        least = np.partition(kept, len(kept) - capacity)[len(kept) - capacity]
        above, level = usable[kept > least], usable[kept == least]
        if len(above) + len(level) > capacity:
            left = capacity - len(above)
            level = level[np.argpartition(_mixed(level, hosts, request), left - 1)[:left]]
        usable = np.concatenate((above, level))
    rows: npt.NDArray[Any] = usable[np.lexsort((_mixed(usable, hosts, request), -scores[usable]))]
    return rows


def _mixed(rows: npt.NDArray[Any], hosts: HostTable, request: PlaceRequest) -> npt.NDArray[Any]:
    hashes: npt.NDArray[Any] = (hosts.id_hash[rows] ^ np.uint64(request.container_hash)) * np.uint64(0x9E3779B97F4A7C15)
    return hashes
