"""Placements: where each container is. Writing one moves the container."""
from __future__ import annotations

import fastcontainer as fc
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from fastcontainer import RecordKind
from pydantic import BaseModel, Extra, StrictStr

from .auth import Caller, reader, writer
from .problems import Problem
from .records import answer, current, expected, store_of

__all__ = ["routes"]

routes = APIRouter(prefix="/v1/placements", tags=["placements"], dependencies=[Depends(reader)])


class Where(BaseModel):
    """The host to which a container is moved."""

    host: StrictStr

    class Config:
        """What else is sent is refused by name."""

        extra = Extra.forbid


@routes.get("", summary="List placements")
async def listing(request: Request, after: str = "", limit: int = Query(100, ge=1, le=1000)) -> Response:
    """A page of them."""
    items, revision, following = await store_of(request).page(RecordKind.PLACEMENT, after, limit)
    return JSONResponse({"items": [one._asdict() for one in items], "revision": revision, "next": following})


@routes.get("/{name}", summary="Where a container is")
async def read(request: Request, name: str) -> Response:
    """One placement."""
    return answer(await current(store_of(request), RecordKind.PLACEMENT, name))


@routes.put("/{name}", summary="Move a container to a host")
async def move(request: Request, name: str, where: Where, if_match: str | None = Header(None),
               if_none_match: str | None = Header(None), caller: Caller = Depends(writer)) -> Response:
    """By compare-and-set on the revision that the caller has seen."""
    store, revision = store_of(request), expected(if_match, if_none_match)
    spec = await store.get(RecordKind.SPEC, name)
    if not spec.revision:
        raise Problem(404, f"there is no spec of a container {name}")
    placement = await current(store, RecordKind.PLACEMENT, name, revision)
    host = await store.get(RecordKind.HOST, where.host)
    if not host.revision or host.value.get("admin", "up") != "up":
        up = [one.name async for one in store.each(RecordKind.HOST) if one.value.get("admin", "up") == "up"]
        text = f"{where.host} is not a host that is up; accepted are {', '.join(up[:20])}"
        raise Problem(422, text, [("host", text)])
    try:
        await store.place_at(placement, host, caller.name)
    except fc.Conflict as error:
        raise Problem(412, f"{name} has moved meanwhile") from error
    return answer(await store.get(RecordKind.PLACEMENT, name), 201 if revision == 0 else 200)
