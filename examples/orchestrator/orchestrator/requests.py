"""Jobs and events by REST."""
from __future__ import annotations

import datetime
from typing import Any, Optional

import fastcontainer as fc
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Extra, Field, StrictBool, StrictStr

from .auth import Caller, reader, writer
from .jobs import FINISHED, Jobs
from .problems import Problem
from .records import expected, store_of
from .store import JOBS, decoded

__all__ = ["routes"]

routes = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(reader)])
_NAME = r"^[A-Za-z0-9._-]{1,80}$"


class _Job(BaseModel):
    name: Optional[str] = Field(None, regex=_NAME, description="Of the job; default: a new one. A second job of a name is 409.")
    not_before: Optional[datetime.datetime] = Field(None, description="When it begins, with a time zone; default: now")

    class Config:
        extra = Extra.forbid


class Drain(_Job):
    """Give a host nothing new, and move what is there."""

    host: StrictStr


class Rolling(_Job):
    """Give containers a changed spec, one after another."""

    containers: list[StrictStr] = Field(..., min_items=1, max_items=200)
    patch: dict[str, Any] = Field(..., description="Of the specs, RFC 7396", example={"environment": {"VERSION": "2"}})
    ready_path: StrictStr = Field("", description="A GET of it must be answered below 500; default: the dispatcher's word")
    ready_s: float = Field(60, gt=0, le=3600, description="A container that is not ready by then rolls everything back")
    trial: StrictBool = Field(True, description="Start a copy that serves nobody first; never done with writers: single")


class Rebalance(_Job):
    """Move containers from the fullest hosts to the emptiest."""

    max_moves: int = Field(10, ge=1, le=10_000)
    tolerance: float = Field(1.1, ge=1, description="The fullest host may have so many times the mean")


class Once(_Job):
    """Send one request to a container."""

    key: StrictStr
    method: str = Field("POST", regex="^(GET|HEAD|POST|PUT|DELETE|PATCH)$")
    path: str = Field("/", regex=r"^/[!-~]*$")
    body: StrictStr = ""
    idempotent: StrictBool = Field(False, description="It may be sent again if an orchestrator ends before the answer")
    timeout_s: float = Field(60, gt=0, le=86_400)


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


def _shown(name: str, job: dict[str, Any], revision: int, status: int = 200) -> Response:
    headers = {"ETag": f'"{revision}"', **({"Location": f"/v1/jobs/{name}"} if status == 202 else {})}
    return JSONResponse({"name": name, "revision": revision, **job}, status, headers)


async def _submit(request: Request, kind: str, job: _Job, caller: Caller) -> Response:
    not_before = 0
    if job.not_before is not None:
        if job.not_before.tzinfo is None:
            raise Problem(422, "not_before needs a time zone", [("not_before", "accepted is 2026-01-31T03:00:00Z")])
        not_before = int(job.not_before.timestamp() * 1000)
    parameters = job.dict(exclude={"name", "not_before"})
    try:
        return _shown(*await _jobs(request).submit(kind, parameters, caller.name, not_before, job.name or ""), 202)
    except fc.Conflict as error:
        raise Problem(409, f"there is a job {job.name} already") from error


@routes.post("/drain", summary="Drain a host", status_code=202)
async def drain(request: Request, job: Drain, caller: Caller = Depends(writer)) -> Response:
    """Job `drain`."""
    return await _submit(request, "drain", job, caller)


@routes.post("/rolling", summary="Update containers one after another", status_code=202)
async def rolling(request: Request, job: Rolling, caller: Caller = Depends(writer)) -> Response:
    """Job `rolling`."""
    return await _submit(request, "rolling", job, caller)


@routes.post("/rebalance", summary="Even out the hosts", status_code=202)
async def rebalance(request: Request, job: Rebalance, caller: Caller = Depends(writer)) -> Response:
    """Job `rebalance`."""
    return await _submit(request, "rebalance", job, caller)


@routes.post("/once", summary="Send one request once", status_code=202)
async def once(request: Request, job: Once, caller: Caller = Depends(writer)) -> Response:
    """Job `once`."""
    return await _submit(request, "once", job, caller)


@routes.get("", summary="List jobs and events, the newest first")
async def listing(request: Request, kind: str = "", state: str = "", limit: int = Query(100, ge=1, le=1000)) -> Response:
    """As of now; an event is a job of kind `notify`."""
    records, revision = await store_of(request).raw(JOBS)
    items: list[dict[str, Any]] = [{"name": one.key[len(JOBS):], "revision": one.revision, **decoded(one.value)}
                                   for one in records]
    items = [one for one in items if kind in ("", one.get("kind")) and state in ("", one.get("state"))]
    items.sort(key=lambda one: int(one.get("created_ms", 0)), reverse=True)
    return JSONResponse({"items": items[:limit], "revision": revision})


async def _read(request: Request, name: str) -> fc.Record:
    record = await store_of(request).cmdb.get(JOBS + name, linearizable=True)
    if record is None:
        raise Problem(404, f"there is no job {name}")
    return record


@routes.get("/{name}", summary="Read a job")
async def read(request: Request, name: str) -> Response:
    """Its state and progress."""
    record = await _read(request, name)
    return _shown(name, decoded(record.value), record.revision)


@routes.post("/{name}/cancel", summary="Ask for the end of a job", status_code=202)
async def cancel(request: Request, name: str, if_match: str | None = Header(None),
                 caller: Caller = Depends(writer)) -> Response:
    """A job that runs ends between two steps; a rolling update is rolled back."""
    revision = expected(if_match, None)
    record = await _read(request, name)
    if decoded(record.value).get("state") in FINISHED:
        raise Problem(409, f"{name} has ended")
    try:
        await _jobs(request).cancel(name, revision, caller.name)
    except fc.Conflict as error:
        raise Problem(412, f"{name} has changed meanwhile") from error
    record = await _read(request, name)
    return _shown(name, decoded(record.value), record.revision, 202)
