"""The CMDB of an engine: records, transactions, watches, leases."""
from __future__ import annotations

import asyncio
import collections
import enum
import time
from types import TracebackType
from typing import Any, Iterable, NamedTuple

from . import _core
from ._calls import Call, Converted, Driver
from ._errors import Conflict
from ._types import nanoseconds

__all__ = ["Cmdb", "Event", "EventKind", "Lease", "Page", "Record", "Watch", "delete", "put"]

_PUT, _DELETE = 1, 2


class Record(NamedTuple):
    """A key and its value; `revision` 0: the key is absent."""

    key: str
    value: str
    revision: int


class Page(NamedTuple):
    """A part of a listing as of `revision`; `next` is where the next page starts, empty at the end."""

    records: list[Record]
    revision: int
    next: str


class Lease(NamedTuple):
    """`ttl`: seconds, which may be more than was asked for."""

    id: int
    ttl: float


class EventKind(enum.IntEnum):
    """What a watch tells."""

    PUT = 1
    DELETE = 2
    PROGRESS = 3
    RESYNC = 4
    DISCONNECTED = 5
    CONNECTED = 6


class Event(NamedTuple):
    """`record` is None unless something was put or deleted. After `RESYNC` list again: events were lost."""

    kind: EventKind
    record: Record | None
    revision: int


class Mutation(NamedTuple):
    """Made by `put` and `delete`."""

    kind: int
    key: str
    value: str
    lease: int


def put(key: str, value: str, lease: int = 0) -> Mutation:
    """For `Cmdb.txn`; the key goes when `lease` ends, unless that is 0."""
    return Mutation(_PUT, key, value, lease)


def delete(key: str) -> Mutation:
    """For `Cmdb.txn`."""
    return Mutation(_DELETE, key, "", 0)


def _records(fields: Any) -> list[Record]:
    return [Record(*record) for record in fields[0]]


class _TxnCall(Call[int]):
    __slots__ = ()

    def _take(self) -> int:
        if isinstance(self._error, Conflict):
            self._error.records = tuple(_records(self._value))
        return super()._take()

    def _convert(self, value: Any) -> int:
        revision: int = value[1]
        return revision


class Watch:
    """
    Events of a prefix, in order: ``async for`` or ``for``.

    It ends by `close`, by ``async with``/``with``, or when nobody holds it any more. What comes is kept until it is read.
    """

    def __init__(self, core: _core.Engine, driver: Driver, prefix: str, after_revision: int) -> None:
        import weakref
        self._driver = driver
        self._events: collections.deque[Event] = collections.deque()
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        this = weakref.ref(self)

        def tell(error: BaseException | None, fields: Any) -> None:
            watch = this()
            if watch is not None:
                watch._tell(error, fields)

        self._op = core.watch(prefix, after_revision, tell)

    def _tell(self, error: BaseException | None, fields: Any) -> None:
        if error is not None:
            self._error = error
        else:
            records = _records(fields)
            self._events.append(Event(EventKind(fields[5]), records[0] if records else None, fields[1]))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _ready(self) -> bool:
        return bool(self._events) or self._closed or self._error is not None

    def _next(self) -> Event | None:
        """None: it is closed."""
        if self._events:
            return self._events.popleft()
        if self._closed:
            return None
        assert self._error is not None
        raise self._error

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Event:
        if not self._ready():
            if self._waiter is not None:
                raise RuntimeError("another task reads this watch already")
            self._waiter = self._driver.attach().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        event = self._next()
        if event is None:
            raise StopAsyncIteration
        return event

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Event:
        event = self.wait()
        if event is None:
            raise StopIteration
        return event

    def wait(self, timeout: float | None = None) -> Event | None:
        """Block for the next event; None if the watch is closed. `timeout`: seconds, then `TimeoutError`."""
        if not self._ready() and not self._driver.run_until(self._ready, timeout):
            raise TimeoutError(f"no event within {timeout} s")
        return self._next()

    def close(self) -> None:
        """No event comes any more; who waits for one finds the end."""
        if self._closed:
            return
        self._closed = True
        self._events.clear()
        if self._error is None and not self._driver.core.closed:
            self._driver.core.cancel(self._op)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_op", 0) and not self._closed:
            self._driver.abandon(self._op)


class Cmdb:
    """Of an `Engine`, as ``engine.cmdb``. Each operation is awaited, or waited for by its ``result()``."""

    def __init__(self, core: _core.Engine, driver: Driver) -> None:
        self._core = core
        self._driver = driver

    def get(self, key: str, *, linearizable: bool = False) -> Call[Record | None]:
        """One record; None if the key is absent. Raises `CmdbUnavailable`."""
        def made(fields: Any) -> Record | None:
            found = _records(fields)
            return found[0] if found and found[0].revision else None
        call: Call[Record | None] = Converted(self._driver, made)
        call._op = self._core.get(key, linearizable, call._finish)
        return call

    def list(self, prefix: str, *, after: str = "", at_revision: int = 0, limit: int = 0) -> Call[Page]:
        """
        Records of a prefix that sort after `after`, at most `limit` (0: any), as of `at_revision` (0: now).

        Raises `CmdbUnavailable`, and `Conflict` if that revision is not kept any more.
        """
        call = Converted(self._driver, lambda fields: Page(_records(fields), fields[1], fields[2]))
        call._op = self._core.list(prefix, after, at_revision, limit, call._finish)
        return call

    def txn(self, mutations: Iterable[Mutation], compares: Iterable[tuple[str, int]] = (), *,
            timeout: float = 5) -> Call[int]:
        """
        All mutations at one revision, if each compared key is at its revision (0: absent).

        Parameters
        ----------
        mutations : iterable of Mutation
            By `put` and `delete`; values of the library's own records are checked.
        compares : iterable of (str, int)
            Keys with revisions.
        timeout : float
            Seconds; afterwards the outcome is taken to be unknown.

        Returns
        -------
        Call of int
            The revision. Raises `Conflict` (with `records`), `CmdbUnavailable` (not applied), `UnknownOutcome`,
            `NotFound` (a lease has ended; not applied), `Invalid`.
        """
        call = _TxnCall(self._driver)
        deadline = time.monotonic_ns() + nanoseconds(timeout)
        call._op = self._core.txn(compares, mutations, deadline, call._finish)
        return call

    def put(self, key: str, value: str, *, revision: int | None = None, lease: int = 0) -> Call[int]:
        """Write one record, if it is at `revision` (0: absent; None: in any case). As `txn`."""
        return self.txn([put(key, value, lease)], [] if revision is None else [(key, revision)])

    def delete(self, key: str, *, revision: int | None = None) -> Call[int]:
        """Delete one record, if it is at `revision` (None: in any case). As `txn`."""
        return self.txn([delete(key)], [] if revision is None else [(key, revision)])

    def watch(self, prefix: str, after_revision: int = 0) -> Watch:
        """Events of `prefix` with a revision greater than `after_revision`, for example that of a `Page`."""
        return Watch(self._core, self._driver, prefix, after_revision)

    def _lease(self, begin: Any, number: int) -> Call[Lease]:
        call = Converted(self._driver, lambda fields: Lease(fields[3], fields[4] / 1e9))
        call._op = begin(number, call._finish)
        return call

    def lease_grant(self, ttl: float) -> Call[Lease]:
        """A lease that ends `ttl` seconds from now unless it is kept. `CmdbUnavailable`, `Unsupported`."""
        return self._lease(self._core.lease_grant, nanoseconds(ttl))

    def lease_keep(self, lease: int) -> Call[Lease]:
        """It ends its ttl from now. `NotFound`: it has ended."""
        return self._lease(self._core.lease_keep, lease)

    def lease_revoke(self, lease: int) -> Call[Lease]:
        """It ends now, and its keys go. `NotFound`: it has ended."""
        return self._lease(self._core.lease_revoke, lease)
