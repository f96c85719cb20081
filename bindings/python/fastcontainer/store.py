"""CMDBs in Python."""
from __future__ import annotations

import logging
from typing import Any, Iterable, Protocol, Sequence

from . import _core
from .cmdb import EventKind, Mutation, Record

__all__ = ["Answer", "Store"]

_logger = logging.getLogger("fastcontainer.store")
_CMDB, _CONFLICT, _UNKNOWN, _NOT_FOUND = -7, -15, -16, -4


class Answer:
    """How an operation of a store ends: by one call of one method, from any thread; each returns False if nobody waits."""

    __slots__ = ("_core", "op")

    def __init__(self, core: _core.Engine, op: int) -> None:
        self._core = core
        self.op = op

    def records(self, records: Sequence[Record], revision: int = 0, next: str = "") -> bool:
        """Of `get` one, of `list` a page with the store's revision and where the next one starts."""
        return self._core.complete(self.op, 0, "", records, revision, next)

    def written(self, revision: int) -> bool:
        """Of `txn`."""
        return self._core.complete(self.op, 0, "", [], revision)

    def conflict(self, records: Sequence[Record] = ()) -> bool:
        """Of `txn`, one record for each compare; of `list`: the revision of the page is gone."""
        return self._core.complete(self.op, _CONFLICT, "", records)

    def lease(self, lease: int, ttl: float) -> bool:
        """Of operations on leases. `ttl`: seconds."""
        return self._core.complete(self.op, lease=lease, lease_ttl_ns=round(ttl * 1e9))

    def lease_ended(self) -> bool:
        """Of `lease_keep`, `lease_revoke`, and of `txn` with such a lease: nothing was applied."""
        return self._core.complete(self.op, _NOT_FOUND)

    def failed(self, message: str) -> bool:
        """It was certainly not applied."""
        return self._core.complete(self.op, _CMDB, message)

    def unknown(self, message: str) -> bool:
        """It may or may not have been applied."""
        return self._core.complete(self.op, _UNKNOWN, message)

    def event(self, kind: EventKind, record: Record | None = None, revision: int = 0) -> bool:
        """Of `watch`, as often as there is one."""
        records = [] if record is None else [record]
        return self._core.complete(self.op, 0, "", records, revision, watch_kind=int(kind))


class Store(Protocol):
    """
    A CMDB of one's own, as `Engine(cmdb=...)`.

    Methods run on the engine's thread, must not block, and end the `Answer` that they are given, at once or later; one that
    raises has failed. With `lease_grant(answer, ttl)`, `lease_keep(answer, lease)` and `lease_revoke(answer, lease)` it
    has leases; all three or none.
    """

    _engine: _core.Engine

    def get(self, answer: Answer, key: str, linearizable: bool) -> None:
        """One record; an absent one has revision 0."""

    def list(self, answer: Answer, prefix: str, after: str, at_revision: int, limit: int) -> None:
        """Keys with `prefix` that sort after `after`, at most `limit` (0: any), as of `at_revision` (0: now)."""

    def txn(self, answer: Answer, compares: Iterable[tuple[str, int]], mutations: Iterable[Mutation],
            deadline_ns: int) -> None:
        """All mutations at one revision if all compares hold. `deadline_ns`: ``time.monotonic_ns()``."""

    def watch(self, answer: Answer, prefix: str, after_revision: int) -> None:
        """Events with a revision > `after_revision`, in order, until cancelled."""

    def cancel(self, op: int) -> None:
        """Nobody waits for the `Answer` with this `op` any more."""


class _Runner:
    """The vtable's side of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def _begin(self, op: int, method: Any, *arguments: Any) -> None:
        answer = Answer(self._store._engine, op)
        try:
            method(answer, *arguments)
        except Exception as error:  # pylint: disable=broad-except
            _logger.exception("the store failed")
            answer.failed(f"{type(error).__name__}: {error}")

    def get(self, op: int, key: str, linearizable: bool) -> None:
        self._begin(op, self._store.get, key, linearizable)

    def list(self, op: int, prefix: str, after: str, at_revision: int, limit: int) -> None:
        self._begin(op, self._store.list, prefix, after, at_revision, limit)

    def txn(self, op: int, compares: Any, mutations: Any, deadline_ns: int) -> None:
        self._begin(op, self._store.txn, compares, [Mutation(*one) for one in mutations], deadline_ns)

    def watch(self, op: int, prefix: str, after_revision: int) -> None:
        self._begin(op, self._store.watch, prefix, after_revision)

    def cancel(self, op: int) -> None:
        self._store.cancel(op)


class _LeaseRunner(_Runner):
    def lease_grant(self, op: int, ttl_ns: int) -> None:
        self._begin(op, getattr(self._store, "lease_grant"), ttl_ns / 1e9)

    def lease_keep(self, op: int, lease: int) -> None:
        self._begin(op, getattr(self._store, "lease_keep"), lease)

    def lease_revoke(self, op: int, lease: int) -> None:
        self._begin(op, getattr(self._store, "lease_revoke"), lease)


def adapted(store: Store) -> _Runner:
    return _LeaseRunner(store) if hasattr(store, "lease_grant") else _Runner(store)
