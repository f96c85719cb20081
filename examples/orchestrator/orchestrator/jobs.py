"""Jobs: records that whichever orchestrator has the claim works off, from where the one before it was."""
from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any, Awaitable, Callable, Mapping

import fastcontainer as fc

from .background import begun
from .claims import Claims
from .run import Cancelled, Failed, Lost, Run
from .store import CLAIMS, JOBS, ROOT, Store, decoded, encoded, now_ms

__all__ = ["FINISHED", "Handler", "Jobs"]

Handler = Callable[[Run], Awaitable[None]]
FINISHED = ("done", "failed", "cancelled", "rolled-back")
_KEPT = 1000  # finished jobs
_AT_ONCE = 32
_logger = logging.getLogger("orchestrator.jobs")


class Jobs:
    """All jobs as the CMDB has them, and those that run here."""

    def __init__(self, store: Store, name: str, handlers: Mapping[str, Handler], ttl: float) -> None:
        self.store = store
        self.name = name
        self.known: dict[str, tuple[dict[str, Any], int]] = {}
        self.running: dict[str, asyncio.Task[None]] = {}
        self.outcomes: dict[tuple[str, str], int] = {}
        self._claimed: set[str] = set()
        self._handlers = handlers
        self._claims = Claims(store, name, ttl, self._drop_all)
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # ---- submitting ----

    @staticmethod
    def made(kind: str, parameters: dict[str, Any], by: str, not_before_ms: int = 0) -> tuple[str, dict[str, Any]]:
        """A name, which sorts by time, and the record of a new job."""
        created = now_ms()
        return f"{created:012x}-{secrets.token_hex(4)}", {
            "v": 1, "kind": kind, "parameters": parameters, "state": "waiting", "by": by, "created_ms": created,
            "not_before_ms": not_before_ms, "progress": {}}

    async def submit(self, kind: str, parameters: dict[str, Any], by: str, not_before_ms: int = 0,
                     name: str = "") -> tuple[str, dict[str, Any], int]:
        """Raises `Conflict` if there is a job of that `name` already."""
        made, job = self.made(kind, parameters, by, not_before_ms)
        name = name or made
        revision = await self.store.write([fc.put(JOBS + name, encoded(job))], [(JOBS + name, 0)])
        return name, job, revision

    async def cancel(self, name: str, revision: int, by: str) -> None:
        """Asks for the end of a job: whoever runs it ends it between two steps. Raises `Conflict`."""
        record = await self.store.cmdb.get(JOBS + name, linearizable=True)
        job = decoded(record.value) if record else {}
        if not record or record.revision != revision:
            raise fc.Conflict("the job has changed")
        await self.store.write([fc.put(JOBS + name, encoded({**job, "cancel": by, "not_before_ms": 0}))],
                               [(JOBS + name, revision)])

    # ---- working them off ----

    def start(self) -> None:
        """Begins to look for work, on the running loop."""
        self._tasks = [begun(one) for one in (self._claims.keep, self._follow, self._work)]

    async def close(self) -> None:
        """Leaves everything to the others."""
        tasks = [*self._tasks, *self.running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._claims.close()

    def _drop_all(self) -> None:
        for task in self.running.values():
            task.cancel()

    async def _follow(self) -> None:
        while True:
            try:
                records, revision = await self.store.raw(ROOT)
                self.known.clear()
                self._claimed.clear()
                for one in records:
                    self._learn(one)
                self._changed.set()
                async with self.store.cmdb.watch(ROOT, revision) as watch:
                    async for event in watch:
                        if event.kind == fc.EventKind.RESYNC:
                            break
                        if event.record is not None:
                            self._learn(event.record, event.kind == fc.EventKind.DELETE)
                            self._changed.set()
            except fc.Error as error:
                _logger.warning("jobs cannot be followed: %s", error)
            await asyncio.sleep(0.5)

    def _learn(self, record: fc.Record, deleted: bool = False) -> None:
        if record.key.startswith(CLAIMS):
            (self._claimed.discard if deleted else self._claimed.add)(record.key[len(CLAIMS):])
        elif record.key.startswith(JOBS):
            name = record.key[len(JOBS):]
            if deleted:
                self.known.pop(name, None)
            elif record.revision > self.known.get(name, ({}, 0))[1]:
                self.known[name] = (decoded(record.value), record.revision)

    async def _work(self) -> None:
        while True:
            try:
                async with asyncio.timeout(1):  # wait_for() may swallow a cancellation, python/cpython#86296
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            for name, (job, revision) in list(self.known.items()):
                if self._due(name, job):
                    try:
                        claim = await self._claims.claim(name, revision)
                    except fc.Error as error:
                        _logger.warning("%s cannot be claimed: %s", name, error)
                        continue
                    if claim:
                        self._begin(name, job, revision, claim)
            await self._prune()

    def _due(self, name: str, job: dict[str, Any]) -> bool:
        return (job.get("state") not in FINISHED and job.get("kind") in self._handlers
                and job.get("not_before_ms", 0) <= now_ms() and name not in self._claimed
                and name not in self.running and len(self.running) < _AT_ONCE)

    def _begin(self, name: str, job: dict[str, Any], revision: int, claim: int) -> None:
        run = Run(self.store, name, dict(job), revision, claim)
        task = asyncio.create_task(self._run(run))
        self.running[name] = task

        def ended(_task: asyncio.Task[None]) -> None:
            self.running.pop(name, None)
            self._changed.set()
        task.add_done_callback(ended)

    async def _run(self, run: Run) -> None:
        kind = str(run.job["kind"])
        _logger.info("%s %s goes on here", kind, run.name)
        try:
            await run.save(state="running", owner=self.name)
            state, error = await self._handled(run, self._handlers[kind])
            await run.save(release=True, state=state, error=error, finished_ms=now_ms())
        except (Lost, fc.Error) as lost:
            _logger.warning("%s is left to others: %s", run.name, lost)
            return
        self.outcomes[kind, state] = self.outcomes.get((kind, state), 0) + 1
        _logger.info("%s %s: %s %s", kind, run.name, state, error or "")

    @staticmethod
    async def _handled(run: Run, handler: Handler) -> tuple[str, str | None]:
        while True:
            try:
                if run.job.get("state") == "running" and not run.progress:
                    run.check()
                await handler(run)
                return "done", None
            except Cancelled as why:
                return "cancelled", str(why)
            except Failed as why:
                return ("rolled-back" if run.progress.get("rolled_back") else "failed"), str(why)
            except (fc.CmdbUnavailable, fc.UnknownOutcome) as why:
                _logger.warning("%s waits for the CMDB: %s", run.name, why)
                await asyncio.sleep(0.5)  # and goes on from what is written
            except (Lost, asyncio.CancelledError):
                raise
            except Exception as why:  # pylint: disable=broad-except
                _logger.exception("%s failed", run.name)
                return "failed", f"{type(why).__name__}: {why}"

    async def _prune(self) -> None:
        finished = sorted(name for name, (job, _) in self.known.items() if job.get("state") in FINISHED)
        for name in finished[:max(0, len(finished) - _KEPT)]:
            try:
                await self.store.cmdb.delete(JOBS + name, revision=self.known[name][1])
            except (fc.Error, KeyError):
                return
