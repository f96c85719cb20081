"""Replica sets by REST."""
from __future__ import annotations

from typing import Any

import fastcontainer as fc
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from fastcontainer import RecordKind
from pydantic import BaseModel, Extra, Field, StrictStr, conint

from .auth import Caller, reader, writer
from .problems import Problem, of_record
from .records import answer, expected, store_of
from .sets import Sets, key_of, spec_of
from .store import MEMBERS, SETS, Store, Stored, decoded, encoded

__all__ = ["routes"]

routes = APIRouter(prefix="/v1/sets", tags=["sets"], dependencies=[Depends(reader)])
_NAME: Any = Path(..., regex=r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$", description="Its members are NAME-0, NAME-1, ...")
_EXAMPLE: dict[str, Any] = {"class": "wordpress", "ready": {"http": "/"}}


class ReplicaSet(BaseModel):
    """So many containers of one spec."""

    replicas: conint(strict=True, ge=0, le=1000) = Field(  # type: ignore[valid-type]
        ..., description="Containers that are kept, each with a host of its own choice")
    spec: dict[str, Any] = Field(..., description="Of members that are made from now on; they are never idle", example=_EXAMPLE)
    domain: StrictStr = Field(..., description="The key of a member is NAME-0.DOMAIN", example="web.example")
    drain_s: float = Field(5, ge=0, le=3600, description="A surplus member serves for so long as `leaving`, then it is deleted")

    class Config:
        """What else is sent is refused by name."""

        extra = Extra.forbid


async def _stored(store: Store, name: str, revision: int | None = None) -> Stored:
    record = await store.cmdb.get(SETS + name, linearizable=True)
    if revision == 0 and record is not None:
        raise Problem(412, f"{name} exists, at revision {record.revision}")
    if revision != 0 and record is None:
        raise Problem(404, f"there is no set {name}")
    at = record.revision if record else 0
    if revision is not None and at != revision:
        raise Problem(412, f"{name} is at revision {at} now", headers={"ETag": f'"{at}"'})
    return Stored(name, decoded(record.value) if record else {}, at)


@routes.get("", summary="List replica sets")
async def listing(request: Request, after: str = "", limit: int = Query(100, ge=1, le=1000)) -> Response:
    """A page of them."""
    page = await store_of(request).cmdb.list(SETS, after=after, limit=limit)
    items = [{"name": one.key[len(SETS):], "revision": one.revision, "value": decoded(one.value)} for one in page.records]
    return JSONResponse({"items": items, "revision": page.revision, "next": page.next})


@routes.get("/{name}", summary="Read a replica set, and how its members are")
async def read(request: Request, name: str = _NAME) -> Response:
    """A load balancer uses those that are `kept` and `ready`."""
    store, sets = store_of(request), request.app.state.sets
    assert isinstance(sets, Sets)
    stored = await _stored(store, name)
    record = await store.cmdb.get(MEMBERS + name, linearizable=True)
    members = []
    for member, one in (decoded(record.value).get("members", {}) if record else {}).items():
        host = await store.placed_on(member)
        members.append({"name": member, "key": one["key"], "state": one["state"], "host": host,
                        "ready": bool(host) and sets.ready.get(member) == host, "note": sets.notes.get(member)})
    blocked = [{"name": member, "state": "missing", "note": "there is a container or a key of that name already"}
               for member in sorted(sets.blocked.get(name, set()) - {one["name"] for one in members})]
    return JSONResponse({"name": name, "revision": stored.revision, "value": stored.value, "members": members + blocked},
                        headers={"ETag": f'"{stored.revision}"'})


@routes.put("/{name}", summary="Create or replace a replica set")
async def replace(request: Request, wanted: ReplicaSet, name: str = _NAME, if_match: str | None = Header(None),
                  if_none_match: str | None = Header(None), _caller: Caller = Depends(writer)) -> Response:
    """Members follow within seconds. Those that are there keep their specs: job `rolling` changes them."""
    store, revision = store_of(request), expected(if_match, if_none_match)
    before = await _stored(store, name, revision)
    value: dict[str, Any] = {"v": 1, **wanted.dict()}
    if revision and before.value.get("domain") != wanted.domain:
        raise Problem(422, "the domain of a set is for ever", [("domain", f"accepted is {before.value.get('domain')}")])
    last = f"{name}-{max(0, wanted.replicas - 1)}"
    try:
        fc.record_check(RecordKind.SPEC, last, encoded(spec_of(value)))
    except fc.Error as error:
        raise of_record(error) from error
    except (TypeError, ValueError) as error:
        raise Problem(422, str(error), [("spec", str(error))]) from error
    try:
        fc.record_check(RecordKind.KEY, key_of(last, value), encoded({"v": 1, "container": last}))
    except fc.Error as error:
        raise Problem(422, str(error), [("domain", str(error))]) from error
    try:
        written = await store.write([fc.put(SETS + name, encoded(value))], [(SETS + name, revision)])
    except fc.Conflict as error:
        raise Problem(412, f"{name} has changed meanwhile") from error
    return answer(Stored(name, value, written), 201 if revision == 0 else 200)


@routes.delete("/{name}", summary="Delete a replica set and all its members", status_code=204)
async def remove(request: Request, name: str = _NAME, if_match: str | None = Header(None),
                 _caller: Caller = Depends(writer)) -> Response:
    """They leave as surplus ones do."""
    store, revision = store_of(request), expected(if_match, None)
    await _stored(store, name, revision)
    try:
        await store.write([fc.delete(SETS + name)], [(SETS + name, revision)])
    except fc.Conflict as error:
        raise Problem(412, f"{name} has changed meanwhile") from error
    return Response(status_code=204)
