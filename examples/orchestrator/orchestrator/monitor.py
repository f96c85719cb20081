"""Events: what a host's heartbeat does becomes one record for each change, and one webhook for each record."""
from __future__ import annotations

import asyncio
import logging
from typing import Any

import fastcontainer as fc
import httpx
from fastcontainer import RecordKind

from .jobs import Handler, Jobs
from .run import Failed, Run
from .store import HEARTBEATS, HOSTS, JOBS, Store, decoded, encoded

__all__ = ["Monitor", "notifier"]

_EACH = 5.0  # seconds between two looks, also without an event of the watch
_logger = logging.getLogger("orchestrator.monitor")


class Monitor:
    """Compares heartbeats with the states that were written. The one compare-and-set that wins makes the event."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self.up: dict[str, bool] = {}

    async def serve(self) -> None:
        """Until cancelled."""
        await self._store.follow(HEARTBEATS, _EACH, self.look)

    async def look(self) -> None:
        """One comparison of all hosts."""
        beating = {record.key[len(HEARTBEATS):] for record in (await self._store.raw(HEARTBEATS))[0]}
        written = {record.key[len(HOSTS):]: record for record in (await self._store.raw(HOSTS))[0]}
        up: dict[str, bool] = {}
        async for host in self._store.each(RecordKind.HOST):
            name = fc.record_key(RecordKind.HOST, host.name).rsplit("/", 1)[1]
            up[host.name] = name in beating
            record = written.pop(name, None)
            state = "up" if name in beating else "lost"
            before = decoded(record.value).get("state") if record else None
            # A host that was never seen up is being set up: its record comes before its heartbeat.
            if before != state and not (before is None and state == "lost"):
                await self._tell(host.name, HOSTS + name, record.revision if record else 0, before, state)
        for record in written.values():  # hosts that are deleted
            await self._try([fc.delete(record.key)], [(record.key, record.revision)])
        self.up = up

    async def _tell(self, host: str, key: str, revision: int, before: str | None, state: str) -> None:
        mutations: list[Any] = [fc.put(key, encoded({"v": 1, "state": state}))]
        if before is not None:
            event = {"event": f"host-{'back' if state == 'up' else 'lost'}", "host": host}
            name, job = Jobs.made("notify", event, self._name)
            mutations.append(fc.put(JOBS + name, encoded(job)))
        await self._try(mutations, [(key, revision)])

    async def _try(self, mutations: list[Any], compares: list[tuple[str, int]]) -> None:
        try:
            await self._store.cmdb.txn(mutations, compares)
        except fc.Conflict:
            pass  # another orchestrator was the first
        except fc.UnknownOutcome:
            pass  # the next look finds what came of it


def notifier(url: str, seconds: float = 10) -> Handler:
    """The handler of jobs `notify`: an event is posted until the receiver takes it, for a day at most."""
    async def notify(run: Run) -> None:
        if not url:
            return
        body = {"id": run.name, "at_ms": run.job["created_ms"], **run.parameters}
        tries = int(run.progress.get("tries", 0))
        async with httpx.AsyncClient(timeout=seconds) as client:
            while True:
                await run.save(progress={"tries": tries + 1})
                tries += 1
                try:
                    answer = await client.post(url, json=body, headers={"Idempotency-Key": run.name})
                    if answer.status_code < 300:
                        return
                    why = f"answered with {answer.status_code}"
                except httpx.HTTPError as error:
                    why = f"{type(error).__name__}: {error}"
                if tries > 1440:
                    raise Failed(f"the webhook does not take it: {why}")
                _logger.warning("event %s: %s", run.name, why)
                await asyncio.sleep(min(60.0, 0.5 * 2 ** min(tries, 7)))
    return notify
