"""The application: routes, and what runs beside them as long as it does."""
from __future__ import annotations

import asyncio
import os
import secrets
import socket
from typing import NamedTuple

import fastcontainer as fc
from fastapi import FastAPI, Response

from . import hosts, metrics, placements, problems, requests, sets_requests, specs
from .auth import Tokens
from .background import begun
from .drain import drain
from .jobs import Jobs
from .monitor import Monitor, notifier
from .once import once
from .rebalance import rebalance
from .rolling import rolling
from .sets import Sets
from .store import Store

__all__ = ["Settings", "application"]


class Settings(NamedTuple):
    """Of one orchestrator; `claim_seconds` after it has died, others go on with its jobs."""

    cmdb: str
    tokens: str
    name: str = ""
    cluster_key: str = ""
    bind: str = ""
    webhook: str = ""
    claim_seconds: float = 10
    policy: str = ""


def application(settings: Settings) -> FastAPI:
    """Its engine is made when the loop runs that serves it."""
    app = FastAPI(title="Orchestrator", version="1", description=__doc__ or "")
    problems.install(app)
    app.state.tokens = Tokens(settings.tokens)
    name = settings.name or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"

    async def start() -> None:
        # No request waits for this process: it may wait until the CMDB knows that a host is gone, and believes nobody else.
        engine = fc.Engine(settings.cmdb, name=name, cluster_key_file=settings.cluster_key, bind=settings.bind,
                           admission=fc.Admission.HEARTBEAT, policy=settings.policy or None)
        state = app.state
        state.store = Store(engine)
        state.jobs = Jobs(state.store, name, {"drain": drain, "rolling": rolling, "rebalance": rebalance, "once": once,
                                              "notify": notifier(settings.webhook)}, settings.claim_seconds)
        state.jobs.start()
        state.monitor = Monitor(state.store, name)
        state.sets = Sets(state.store)
        state.watching = [begun(state.monitor.serve), begun(state.sets.serve)]

    async def stop() -> None:
        for task in app.state.watching:
            task.cancel()
        await asyncio.gather(*app.state.watching, return_exceptions=True)
        await app.state.jobs.close()
        app.state.store.engine.close()

    app.add_event_handler("startup", start)
    app.add_event_handler("shutdown", stop)
    for routes in (hosts.routes, specs.specs, specs.classes, specs.keys, placements.routes, sets_requests.routes,
                   requests.routes, metrics.routes):
        app.include_router(routes)

    @app.get("/healthz", tags=["metrics"], summary="Whether the CMDB answers; needs no token")
    async def healthz() -> Response:
        await app.state.store.cmdb.get("/fc/v1/restored", linearizable=True)
        return Response("ok\n", media_type="text/plain")

    return app
