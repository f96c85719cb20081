"""Draining: a host gets nothing new, and what is there moves, one container after another."""
from __future__ import annotations

import asyncio

import fastcontainer as fc
from fastcontainer import RecordKind

from .run import Failed, Run

__all__ = ["drain"]

_ROUNDS = 5


async def drain(run: Run) -> None:
    """Job `drain`, {"host": NAME}. Every step is idempotent: what has moved already is not there any more."""
    host = str(run.parameters["host"])
    await _close(run, host)
    errors: dict[str, str] = {}
    for attempt in range(_ROUNDS):
        # Routers that have not seen the new state may place something there meanwhile: look again.
        left = sorted(name for name, where in (await run.store.placed()).items() if where == host)
        moved = int(run.progress.get("moved", 0))
        await run.save(progress={"moved": moved, "left": len(left), "errors": {}})
        if not left:
            return
        errors = {}
        for container in left:
            run.check()
            try:
                await run.engine.place(container, "", "drain")
                moved += 1
            except (fc.NoHost, fc.Conflict, fc.Veto, fc.Budget, fc.NotFound) as error:
                errors[container] = str(error)
            await run.save(progress={"moved": moved, "left": len(left), "errors": errors})
        if errors:
            await asyncio.sleep(0.2 * 2 ** attempt)
    raise Failed(f"{len(errors)} containers are still there: " +
                 "; ".join(f"{name}: {text}" for name, text in sorted(errors.items())[:5]))


async def _close(run: Run, host: str) -> None:
    while True:
        record = await run.store.get(RecordKind.HOST, host)
        if not record.revision:
            raise Failed(f"there is no host {host}")
        if record.value.get("admin") == "drain":
            return
        try:
            await run.store.put(RecordKind.HOST, host, {**record.value, "admin": "drain"}, record.revision)
        except fc.Conflict:
            continue
