"""Replica sets: so many containers of one spec are kept, each with a key of its own, whatever becomes of their hosts."""
from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, NamedTuple

import fastcontainer as fc
from fastcontainer import RecordKind

from .store import MEMBERS, SETS, Store, decoded, encoded, now_ms

__all__ = ["Sets", "Step", "key_of", "next_step", "spec_of"]

_EACH = 2.0  # seconds between two looks, also without an event of the watch
_TOUCH = 5.0  # each member is asked for so often; one that is not ready, at each look
_LATE = 1.0  # without an answer for so long it does not count as ready any more
_START = 60.0
_logger = logging.getLogger("orchestrator.sets")


class Step(NamedTuple):
    """What comes next: the members as they are then, and what becomes of one of them ("": nothing, states change only)."""

    members: dict[str, dict[str, Any]]
    create: str = ""
    remove: str = ""


def key_of(member: str, wanted: dict[str, Any]) -> str:
    """The key by which requests find it."""
    return f"{member}.{wanted['domain']}"


def spec_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """The spec of a member, which is never idle."""
    spec: dict[str, Any] = {"v": 1, **wanted["spec"]}
    return {**spec, "keep_alive": {**spec.get("keep_alive", {}), "idle_s": 0}}


def next_step(name: str, wanted: dict[str, Any] | None, members: dict[str, dict[str, Any]], blocked: set[str],
              now: int) -> Step | None:
    """
    From what is to what is `wanted` (None: the set was deleted), as one write; None: there is nothing to do, or not yet.

    A surplus member is "leaving" first, for `drain_s`: it serves as before, and load balancers can read that it will not.
    Members that are `blocked` by somebody else's record are left out.
    """
    names = [f"{name}-{i}" for i in range(int(wanted["replicas"]) if wanted else 0)]
    states: dict[str, dict[str, Any]] = {}
    for member, one in members.items():
        leaving = {"state": "leaving", "until_ms": now + int(1000 * float((wanted or one).get("drain_s", 0)))}
        if member in names and wanted is not None and one["key"] == key_of(member, wanted):
            states[member] = {"state": "kept", "key": one["key"], "drain_s": wanted["drain_s"]}
        else:
            states[member] = one if one["state"] == "leaving" else {**one, **leaving}
    if states != members:
        return Step(states)
    for member in names:
        if member not in members and member not in blocked and wanted is not None:
            kept = {"state": "kept", "key": key_of(member, wanted), "drain_s": wanted["drain_s"]}
            return Step({**members, member: kept}, create=member)
    for member, one in members.items():
        if one["state"] == "leaving" and int(one["until_ms"]) <= now:
            return Step({other: value for other, value in members.items() if other != member}, remove=member)
    return None


class Sets:
    """
    Brings what is there to what is wanted.

    Every orchestrator does, and needs no claim for it: each write compares both records of the set.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.wanted: dict[str, int] = {}
        self.ready: dict[str, str] = {}  # member: the host on which it answers
        self.notes: dict[str, str] = {}  # member: why it is not ready
        self.blocked: dict[str, set[str]] = {}  # of a set: members that cannot be made, for somebody else's record has the name
        self._members: dict[str, list[str]] = {}
        self._touched: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Until cancelled."""
        try:
            await self._store.follow(SETS, _EACH, self.look)
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def ready_count(self, name: str) -> int:
        """Members that have answered this process."""
        return sum(member in self.ready for member in self._members.get(name, []))

    async def look(self) -> None:
        """One comparison of all sets."""
        wanted = {one.key[len(SETS):]: one for one in (await self._store.raw(SETS))[0]}
        members = {one.key[len(MEMBERS):]: one for one in (await self._store.raw(MEMBERS))[0]}
        for name in sorted(wanted.keys() | members.keys()):
            await self._keep(name, wanted.get(name), members.get(name))
        self.wanted = {name: int(decoded(one.value).get("replicas", 0)) for name, one in wanted.items()}
        self._members = {name: kept for name, kept in self._members.items() if name in wanted}
        self.blocked = {name: blocked for name, blocked in self.blocked.items() if name in wanted}
        known = {member for kept in self._members.values() for member in kept}
        for gone in self._touched.keys() - known:
            self.ready.pop(gone, None)
            self.notes.pop(gone, None)
            del self._touched[gone]

    async def _keep(self, name: str, wanted: fc.Record | None, record: fc.Record | None) -> None:
        value = decoded(wanted.value) if wanted else None
        members: dict[str, dict[str, Any]] = decoded(record.value).get("members", {}) if record else {}
        compares = [(SETS + name, wanted.revision if wanted else 0), (MEMBERS + name, record.revision if record else 0)]
        blocked: set[str] = set()
        while (step := next_step(name, value, members, blocked, now_ms())) is not None:
            try:
                compares[1] = (compares[1][0], await self._write(name, value, members, step, compares))
                members = step.members
            except (fc.Conflict, fc.UnknownOutcome):
                if not step.create or not await self._foreign(step.create, value, compares):
                    return  # another orchestrator or a client was faster: the next look sees what there is
                blocked.add(step.create)
        self.blocked[name] = blocked
        if value is None and not members and record is not None:
            await self._try([fc.delete(MEMBERS + name)], compares)
            return
        self._members[name] = [member for member, one in members.items() if one["state"] == "kept"]
        for member in self._members[name]:
            self._touch(member, name, compares, value or {})

    async def _write(self, name: str, value: dict[str, Any] | None, members: dict[str, dict[str, Any]], step: Step,
                     compares: list[tuple[str, int]]) -> int:
        mutations: list[Any] = [fc.put(MEMBERS + name, encoded({"v": 1, "members": step.members}))]
        conditions = list(compares)
        if step.create and value is not None:
            for key, text in _records(step.create, value):
                mutations.append(fc.put(key, text))
                conditions.append((key, 0))
        if step.remove:
            more, which = await self._store.tombstone(step.remove)
            route = fc.record_key(RecordKind.KEY, str(members[step.remove]["key"]))
            found = await self._store.cmdb.get(route, linearizable=True)
            if found is not None and decoded(found.value).get("container") == step.remove:
                more.append(fc.delete(route))
                which.append((route, found.revision))
            mutations += [fc.delete(fc.record_key(RecordKind.SPEC, step.remove)), *more]
            conditions += which
        return await self._store.write(mutations, conditions)

    async def _foreign(self, member: str, value: dict[str, Any] | None, compares: list[tuple[str, int]]) -> bool:
        for key, revision in compares:
            record = await self._store.cmdb.get(key, linearizable=True)
            if (record.revision if record else 0) != revision:
                return False
        for key, _ in _records(member, value or {}):
            if await self._store.cmdb.get(key, linearizable=True) is not None:
                return True
        return False

    # ---- one member ----

    def _touch(self, member: str, name: str, compares: list[tuple[str, int]], value: dict[str, Any]) -> None:
        """Routes to it as a request does, which starts it, also on another host. One at a time for each member."""
        now = time.monotonic()
        due = self._touched.get(member, -_TOUCH) + (_TOUCH if member in self.ready else _EACH)
        if member in self._tasks or now < due:
            return
        self._touched[member] = now

        async def touch() -> None:
            late = asyncio.get_running_loop().call_later(_LATE, self.ready.pop, member, None)
            try:
                async with self._store.engine.route(key_of(member, value), wait=_START) as ticket:
                    async with asyncio.timeout(_LATE):  # what the router believes of a warm one, its own connection proves
                        _, sink = await asyncio.open_connection(*ticket.address)
                    sink.close()
                    self.ready[member] = ticket.host
                    self.notes.pop(member, None)
                    return
            except fc.NotFound as error:
                self.notes[member] = str(error)
                await self._repair(member, value, compares)
            except (fc.Error, OSError, TimeoutError) as error:
                self.notes[member] = str(error) or type(error).__name__
            finally:
                late.cancel()
            self.ready.pop(member, None)
        task = asyncio.create_task(touch(), name=f"{name}: {member}")
        self._tasks[member] = task

        def ended(done: asyncio.Task[None]) -> None:
            self._tasks.pop(member, None)
            if not done.cancelled() and done.exception() is not None:
                _logger.error("%s", done.get_name(), exc_info=done.exception())
        task.add_done_callback(ended)

    async def _repair(self, member: str, value: dict[str, Any], compares: list[tuple[str, int]]) -> None:
        """Writes anew what was deleted of its records, if it is still a member."""
        for key, text in _records(member, value):
            if await self._store.cmdb.get(key, linearizable=True) is None:
                await self._try([fc.put(key, text)], [(key, 0), *compares])

    async def _try(self, mutations: list[Any], compares: list[tuple[str, int]]) -> None:
        try:
            await self._store.write(mutations, compares)
        except (fc.Conflict, fc.UnknownOutcome):
            pass  # the next look sees what there is


def _records(member: str, wanted: dict[str, Any]) -> list[tuple[str, str]]:
    return [(fc.record_key(RecordKind.SPEC, member), encoded(spec_of(wanted))),
            (fc.record_key(RecordKind.KEY, key_of(member, wanted)), encoded({"v": 1, "container": member}))]
