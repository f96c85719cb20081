"""The run-once job: one request to a container at its time, and never a second one unless it may be repeated."""
from __future__ import annotations

import fastcontainer as fc

from .run import Failed, Run, fetched

__all__ = ["once"]


async def once(run: Run) -> None:
    """Job `once`, {"key", "method", "path", "body", "idempotent", "timeout_s"}. The container is started if need be."""
    given = run.parameters
    if run.progress.get("sent") and not given["idempotent"]:
        raise Failed("the orchestrator that sent it has ended before the answer: it may have been done, and is not repeated")
    seconds = float(given["timeout_s"])
    await run.routed(str(given["key"]), seconds)
    await run.save(progress={"sent": True})
    try:
        async with run.engine.route(str(given["key"]), wait=seconds) as ticket:
            status, body = await fetched(ticket.address, str(given["key"]), str(given["method"]), str(given["path"]),
                                         str(given["body"]).encode(), [("Idempotency-Key", run.name)], seconds)
    except (fc.Error, OSError, EOFError, ValueError) as error:
        raise Failed(f"no answer: {error or type(error).__name__}") from error
    await run.save(progress={"sent": True, "status": status, "body": body[:2000].decode(errors="replace")})
    if status >= 400:
        raise Failed(f"it was answered with {status}")
