"""Placement policies in Python."""
from __future__ import annotations

import logging
import os
import sys
import threading
import types
from typing import Any, Callable, Iterable, NamedTuple, Protocol, Sequence, TypeVar, Union

import numpy as np
import numpy.typing as npt

from . import _core
from ._columns import Life
from ._types import HostFlag

__all__ = ["File", "HostTable", "PlaceRequest", "Policy", "policy"]

_logger = logging.getLogger("fastcontainer.policy")
_DTYPES = {"id_hash": "u8", "flags": "u4", "free_cpu": "f4", "free_memory": "f8", "running": "u4", "starting": "u4",
           "in_flight": "u4", "response_ms": "f4", "error_rate": "f4", "rtt_ms": "f4", "report_age_s": "f4"}
_BUDGET = 0.005
_MARK = "_fastcontainer_policy"


class PlaceRequest(NamedTuple):
    """
    What is to be placed.

    `cpu` (cores) and `memory` (bytes) are what its spec asks for, 0: nothing. `avoid_host` is the host that is being left,
    empty if there is none, and must not be returned. `class_name` is the class of its spec, empty if it has none.
    """

    container: str
    container_hash: int
    replica: int
    cpu: float
    memory: float
    avoid_host: str
    class_name: str = ""

    @classmethod
    def of_class(cls, name: str) -> PlaceRequest:
        """What a policy is asked in advance: any container of a class (empty: of those without their own)."""
        return cls("", 0, 0, 0.0, 0.0, "", name)


class HostTable:
    """
    All hosts, column-wise, for one call of a policy.

    Each column is an array of shape (n,), read-only, and the library's own memory. It is valid during the call: used later
    it raises `RuntimeError`; `copy` what is to be kept. What `numpy.asarray` made of one keeps its values, and the memory.

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
        row = self._columns.row(host)
        if row < 0:
            raise ValueError(f"there is no host {host!r}")
        return row

    def fits(self, request: PlaceRequest) -> npt.NDArray[np.bool_]:
        """What the built-in policy takes into account: hosts that are up and have room for it, but not the one it leaves."""
        flags = self.flags & (HostFlag.ADMIN_UP | HostFlag.REACHABLE | HostFlag.SERVICE_DOWN)
        fit: npt.NDArray[np.bool_] = flags == HostFlag.ADMIN_UP | HostFlag.REACHABLE
        if request.cpu > 0:
            fit &= self.free_cpu >= np.float32(request.cpu)
        if request.memory > 0:
            fit &= self.free_memory >= request.memory
        left = self._columns.row(request.avoid_host) if request.avoid_host else -1
        if left >= 0:
            fit[left] = False
        return fit

    def _end(self) -> None:
        self._life.end()


Choice = Union[None, int, str, Sequence[Union[int, str]], Sequence[float], npt.NDArray[Any]]
PolicyFunction = Callable[[PlaceRequest, HostTable], Choice]
F = TypeVar("F", bound=Callable[..., Any])


class Policy(Protocol):
    """
    Chooses hosts. Runs within a request, so it must not block. May have what `policy` sets as attributes.
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
            A score for each host, the highest is best; NaN and -inf: not this one. Equal ones come in an order of the
            container's own, so that they share the load.
        None
            The built-in policy decides.
        """


class Settings(NamedTuple):
    """What `policy` says of one."""

    budget: float
    precompute: bool
    interval: float
    classes: tuple[str, ...]


def policy(function: F | None = None, *, budget: float | None = None, precompute: bool = False, interval: float = 0.1,
           classes: Iterable[str] = ()) -> Any:
    """
    Mark a function, or a class with `place`, as a policy: ``@policy`` or ``@policy(budget=0.001)``.

    Parameters
    ----------
    budget : float, optional
        Seconds for one call: 0.005, and with `precompute` ten intervals. A call that takes longer is not used.
    precompute : bool
        The policy scores all hosts every `interval`, in a thread of its own; a placement is a look-up within the library, in
        scores of at most ten intervals ago, and does not wait for Python. Only scores are accepted then.
    interval : float
        Seconds from the begin of one call to that of the next.
    classes : iterable of str
        Of containers; each is asked for by itself, as `PlaceRequest.class_name`. Empty: all at once.
    """
    said = Settings(_checked(10 * interval if budget is None and precompute else _BUDGET if budget is None else budget),
                    precompute, _checked(interval), _names(classes))

    def marked(one: F) -> F:
        for name, value in said._asdict().items():
            setattr(one, name, value)
        setattr(one, _MARK, True)
        return one
    return marked if function is None else marked(function)


def settings_of(one: Any) -> Settings:
    """Of a policy, whether or not `policy` has marked it."""
    precompute, interval = bool(getattr(one, "precompute", False)), _checked(getattr(one, "interval", 0.1))
    budget = _checked(getattr(one, "budget", 10 * interval if precompute else _BUDGET))
    return Settings(budget, precompute, interval, _names(getattr(one, "classes", ())))


def _checked(seconds: float) -> float:
    if not seconds > 0:
        raise ValueError(f"a duration is more than 0 seconds: {seconds!r}")
    return float(seconds)


def _names(classes: Iterable[str]) -> tuple[str, ...]:
    if isinstance(classes, str):
        raise TypeError(f"classes are several names: ({classes!r},)")
    return tuple(classes)


class File:
    """
    The policy of a Python file, loaded again when the file changes: ``Engine(policy="cheapest_first.py")``.

    It is the one function or class of the file that `policy` marks; a class is made without arguments. A file that cannot be
    loaded any more leaves the policy as it was, and is counted and logged with its traceback; the first time it raises.

    Parameters
    ----------
    path : str or os.PathLike
        What tells of a change is its inode, size and time, which an engine looks at once a second, outside of requests.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.loads = {"loaded": 0, "failed": 0}
        self._lock = threading.Lock()
        self._seen = self._signature()
        self.current: Policy | PolicyFunction = self._load()
        self.loads["loaded"] = 1

    def check(self) -> bool:
        """Load the file if it has changed; False if that failed. Any thread."""
        with self._lock:
            signature = self._signature()
            if signature == self._seen:
                return True
            self._seen = signature
            try:
                loaded = self._load()
                if settings_of(loaded).precompute != settings_of(self.current).precompute:
                    raise ValueError("precompute is decided when the engine is made")
                self.current = loaded
            except (Exception, SystemExit):  # pylint: disable=broad-except
                self.loads["failed"] += 1
                _logger.exception("%s cannot be loaded: the policy stays as it was", self.path)
                return False
            self.loads["loaded"] += 1
            _logger.info("%s is loaded", self.path)
            return True

    def _signature(self) -> tuple[int, int, int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _load(self) -> Policy | PolicyFunction:
        """Not by import: a cached byte code of the same second and size would pass for the new file."""
        with open(self.path, "rb") as file:
            code = compile(file.read(), self.path, "exec")
        name = "fastcontainer_policy_" + os.path.splitext(os.path.basename(self.path))[0]
        module = types.ModuleType(name)
        module.__file__ = self.path
        before = sys.modules.get(name)
        sys.modules[name] = module  # dataclasses and pickle look their module up
        try:
            exec(code, module.__dict__)  # pylint: disable=exec-used
            return self._marked(module)
        except BaseException:
            if before is None:
                del sys.modules[name]
            else:
                sys.modules[name] = before
            raise

    def _marked(self, module: types.ModuleType) -> Policy | PolicyFunction:
        found = {name: one for name, one in vars(module).items()
                 if _MARK in getattr(one, "__dict__", ()) and one.__module__ == module.__name__}
        if len({id(one) for one in found.values()}) != 1:
            raise ValueError(f"one policy marked by @policy is accepted in {self.path}, "
                             f"found are: {', '.join(sorted(found)) or 'none'}")
        one: Any = next(iter(found.values()))
        if not isinstance(one, type):
            function: PolicyFunction = one
            return function
        made: Policy = one()
        if not callable(getattr(made, "place", None)):
            raise TypeError(f"class {one.__name__} of {self.path} has no method place(request, hosts)")
        return made
