"""The CMDB as the orchestrator uses it: records as JSON, each change by compare-and-set."""
from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from typing import Any, AsyncIterator, Awaitable, Callable, NamedTuple

import fastcontainer as fc
from fastcontainer import RecordKind

__all__ = ["CLAIMS", "HEARTBEATS", "HOSTS", "JOBS", "MEMBERS", "ROOT", "SETS", "Stored", "Store", "encoded", "now_ms", "replica_of"]

# Beside the library's own /fc/v1/, which routers watch and fcctl carries around.
ROOT = "/orchestrator/v1/"
JOBS = ROOT + "jobs/"
CLAIMS = ROOT + "claims/"
HOSTS = ROOT + "hosts/"
SETS = ROOT + "sets/"
MEMBERS = ROOT + "members/"
HEARTBEATS = "/fc/v1/l/"
RESTORED = "/fc/v1/restored"
_PAGE = 500
_logger = logging.getLogger("orchestrator.store")


class Stored(NamedTuple):
    """A record; revision 0: there is none."""

    name: str
    value: dict[str, Any]
    revision: int


def now_ms() -> int:
    """The wall clock, as records have it."""
    return time.time_ns() // 1_000_000


def encoded(value: Any) -> str:
    """JSON, the same for the same value."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def decoded(text: str) -> dict[str, Any]:
    """An object; {} if it is none, for one bad record must not stop what goes on with the others."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def replica_of(placement: dict[str, Any]) -> dict[str, Any] | None:
    """Where the container is; None if it is placed nowhere."""
    if placement.get("state") == "deleted":
        return None
    replicas = placement.get("replicas") or []
    return replicas[0] if replicas and isinstance(replicas[0], dict) else None


class Store:
    """Of one engine."""

    def __init__(self, engine: fc.Engine) -> None:
        self.engine = engine
        self.cmdb = engine.cmdb

    async def get(self, kind: RecordKind, name: str) -> Stored:
        """One record as it is now."""
        record = await self.cmdb.get(fc.record_key(kind, name), linearizable=True)
        return Stored(name, decoded(record.value) if record else {}, record.revision if record else 0)

    async def page(self, kind: RecordKind, after: str, limit: int) -> tuple[list[Stored], int, str]:
        """Records, the revision, and what to go on after ("": it was the last page)."""
        page = await self.cmdb.list(fc.record_key(kind), after=after, limit=limit)
        stored = [Stored(fc.record_name(one.key)[1], decoded(one.value), one.revision) for one in page.records]
        return stored, page.revision, page.next

    async def follow(self, prefix: str, each: float, look: Callable[[], Awaitable[None]]) -> None:
        """Looks at each change under `prefix`, and so many seconds after the last look; until cancelled, whatever fails."""
        while True:
            try:
                _, revision = await self.raw(prefix)
                async with self.cmdb.watch(prefix, revision) as watch:
                    while True:
                        await look()
                        try:
                            async with asyncio.timeout(each):
                                event = await anext(watch)
                        except TimeoutError:
                            continue
                        if event.kind == fc.EventKind.RESYNC:
                            break
            except fc.Error as error:
                _logger.warning("%s cannot be followed: %s", prefix, error)
                await asyncio.sleep(1)

    async def raw(self, prefix: str) -> tuple[list[fc.Record], int]:
        """All records of a prefix, as of one revision, and that."""
        records: list[fc.Record] = []
        revision, after = 0, ""
        while True:
            page = await self.cmdb.list(prefix, after=after, at_revision=revision, limit=_PAGE)
            records += page.records
            revision, after = page.revision, page.next
            if not after:
                return records, revision

    async def each(self, kind: RecordKind) -> AsyncIterator[Stored]:
        """All records of a kind, as of one revision."""
        records, _ = await self.raw(fc.record_key(kind))
        for one in records:
            yield Stored(fc.record_name(one.key)[1], decoded(one.value), one.revision)

    async def placed(self) -> dict[str, str]:
        """The host of each container that is placed."""
        hosts: dict[str, str] = {}
        async for one in self.each(RecordKind.PLACEMENT):
            replica = replica_of(one.value)
            if replica is not None:
                hosts[one.name] = str(replica.get("host", ""))
        return hosts

    async def placed_on(self, container: str) -> str:
        """The host of one container; "": none."""
        replica = replica_of((await self.get(RecordKind.PLACEMENT, container)).value)
        return str(replica.get("host", "")) if replica else ""

    async def write(self, mutations: list[Any], compares: list[tuple[str, int]]) -> int:
        """A transaction; what became of one without an answer is read from its first record."""
        try:
            return await self.cmdb.txn(mutations, compares)
        except fc.UnknownOutcome:
            first = mutations[0]
            record = await self.cmdb.get(first.key, linearizable=True)
            found = record.value if record else ""
            if found == first.value and (record is None or (first.key, record.revision) not in compares):
                return record.revision if record else 0
            raise

    async def put(self, kind: RecordKind, name: str, value: dict[str, Any], revision: int) -> int:
        """Write a record if it is at `revision`."""
        key = fc.record_key(kind, name)
        return await self.write([fc.put(key, encoded(value))], [(key, revision)])

    async def tombstone(self, container: str) -> tuple[list[Any], list[tuple[str, int]]]:
        """What takes the placement of `container` away and keeps its epoch, for a transaction."""
        placement = await self.get(RecordKind.PLACEMENT, container)
        if not placement.revision or placement.value.get("state") == "deleted":
            return [], []
        key = fc.record_key(RecordKind.PLACEMENT, container)
        value = {**placement.value, "state": "deleted"}
        return [fc.put(key, encoded(value))], [(key, placement.revision)]

    async def place_at(self, placement: Stored, host: Stored, by: str) -> int:
        """Move a container to `host` if its placement is still `placement` and the CMDB is of the same history."""
        key = fc.record_key(RecordKind.PLACEMENT, placement.name)
        restored = await self.cmdb.get(RESTORED, linearizable=True)
        value: dict[str, Any] = {"v": 1, **placement.value}
        replicas = [dict(one) for one in value.get("replicas", [])] or [{"i": 0, "epoch": 0, "host": ""}]
        old, spec = dict(replicas[0]), await self.get(RecordKind.SPEC, placement.name)
        replicas[0].update(epoch=int(old["epoch"]) + 1, host=host.name, op=secrets.token_hex(8))
        unfenced = [one for one in value.get("unfenced", [])
                    if (one.get("i"), one.get("host")) != (old.get("i"), old["host"])]
        if old["host"]:
            left = await self.get(RecordKind.HOST, str(old["host"]))
            unfenced.append({"i": old.get("i", 0), "epoch": old["epoch"], "host": old["host"],
                             "incarnation": left.value.get("incarnation", 0)})
        value.update(replicas=replicas, unfenced=unfenced, state="placed", by=by, reason="moved", at_ms=now_ms(),
                     spec_revision=str(spec.revision))
        return await self.write([fc.put(key, encoded(value))],
                                [(key, placement.revision), (RESTORED, restored.revision if restored else 0)])
