"""A trial: a second container with the new spec, which serves nobody, and a key by which only its job finds it."""
from __future__ import annotations

from typing import Any

import fastcontainer as fc
from fastcontainer import RecordKind

from .run import Failed, Run
from .store import encoded

__all__ = ["created", "gate_key", "name_of", "removed"]


def name_of(container: str) -> str:
    """One for each container: that it exists says that an update is under way."""
    return f"{container}.trial"


def gate_key(run: Run, at: int, what: str) -> str:
    """No name in the DNS ends so, RFC 6761."""
    return f"{what}-{at}.{run.name}.invalid"


async def created(run: Run, at: int, container: str, spec: dict[str, Any], **fields: Any) -> None:
    """Writes it together with `fields` of the job."""
    key = fc.record_key(RecordKind.SPEC, name_of(container))
    route = fc.record_key(RecordKind.KEY, gate_key(run, at, "trial"))
    try:
        await run.save([fc.put(key, encoded(spec)), fc.put(route, encoded({"v": 1, "container": name_of(container)}))],
                       [(key, 0)], **fields)
    except fc.Conflict as error:
        raise Failed(f"another update of {container} is under way: there is {name_of(container)}") from error


async def removed(run: Run, at: int, container: str, **fields: Any) -> None:
    """Takes it away together with `fields` of the job. Its placement becomes a tombstone, for no epoch may fall."""
    key = fc.record_key(RecordKind.SPEC, name_of(container))
    route = fc.record_key(RecordKind.KEY, gate_key(run, at, "trial"))
    while True:
        mutations, compares = await run.store.tombstone(name_of(container))
        try:
            await run.save([fc.delete(key), fc.delete(route), *mutations], compares, **fields)
            return
        except fc.Conflict:
            continue  # it was placed anew in this moment
