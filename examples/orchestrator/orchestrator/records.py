"""What hosts, specs, classes and keys have in common: list, read, write, merge, delete, all by revision."""
from __future__ import annotations

import re
from typing import Any, Awaitable, Callable

import fastcontainer as fc
from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from fastcontainer import RecordKind

from .auth import Caller, reader, writer
from .problems import Problem, of_record
from .store import Store, Stored, encoded

__all__ = ["answer", "expected", "merged", "router", "store_of"]

_ETAG = re.compile(r'^"(\d+)"$')
# Takes a record with it: more mutations and compares of the transaction that deletes `name`; may raise.
Companion = Callable[[Store, str], Awaitable[tuple[list[Any], list[tuple[str, int]]]]]


async def alone(_store: Store, _name: str) -> tuple[list[Any], list[tuple[str, int]]]:
    """A record that nothing depends on."""
    return [], []


def store_of(request: Request) -> Store:
    """The store of the application."""
    store: Store = request.app.state.store
    return store


def answer(stored: Stored, status: int = 200) -> Response:
    """A record, its revision being the entity's tag."""
    return JSONResponse({"name": stored.name, "revision": stored.revision, "value": stored.value}, status,
                        {"ETag": f'"{stored.revision}"'})


def expected(if_match: str | None, if_none_match: str | None) -> int:
    """The revision that a change is for; 0: there must be none yet."""
    if if_none_match is not None and if_match is None:
        if if_none_match.strip() != "*":
            raise Problem(428, "If-None-Match: accepted is *, to create")
        return 0
    found = _ETAG.match((if_match or "").strip())
    if found is None:
        raise Problem(428, 'accepted is If-Match: "REVISION", from the ETag that was read, or If-None-Match: * to create')
    return int(found.group(1))


def merged(value: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for name, part in patch.items():
        if part is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), part)
    return result


async def current(store: Store, kind: RecordKind, name: str, revision: int | None = None) -> Stored:
    """The record; 404 if there is none, 412 if it is not at `revision`."""
    stored = await store.get(kind, name)
    if revision == 0 and stored.revision:
        raise Problem(412, f"{name} exists, at revision {stored.revision}")
    if revision != 0 and not stored.revision:
        raise Problem(404, f"there is no {kind.name.lower()} {name}")
    if revision is not None and stored.revision != revision:
        raise Problem(412, f"{name} is at revision {stored.revision} now", headers={"ETag": f'"{stored.revision}"'})
    return stored


async def write(store: Store, kind: RecordKind, name: str, value: dict[str, Any], revision: int) -> Response:
    """Checks and writes."""
    value = {"v": 1, **value}
    try:
        fc.record_check(kind, name, encoded(value))
    except fc.Error as error:
        raise of_record(error) from error
    try:
        written = await store.put(kind, name, value, revision)
    except fc.Conflict as error:
        raise Problem(412, f"{name} has changed meanwhile") from error
    return answer(Stored(name, value, written), 201 if revision == 0 else 200)


def router(kind: RecordKind, path: str, what: str, example: dict[str, Any], companion: Companion = alone) -> APIRouter:
    """The routes of one kind of records."""
    routes = APIRouter(prefix=f"/v1/{path}", tags=[path], dependencies=[Depends(reader)])
    body: Any = Body(..., example=example)

    @routes.get("", summary=f"List {path}")
    async def listing(request: Request, after: str = Query("", description="`next` of the page before"),
                      limit: int = Query(100, ge=1, le=1000)) -> Response:
        items, revision, following = await store_of(request).page(kind, after, limit)
        return JSONResponse({"items": [one._asdict() for one in items], "revision": revision, "next": following})

    @routes.get("/{name}", summary=f"Read {what}")
    async def read(request: Request, name: str, if_none_match: str | None = Header(None)) -> Response:
        stored = await current(store_of(request), kind, name)
        if if_none_match == f'"{stored.revision}"':
            return Response(status_code=304, headers={"ETag": if_none_match})
        return answer(stored)

    @routes.put("/{name}", summary=f"Create or replace {what}")
    async def replace(request: Request, name: str, value: dict[str, Any] = body, if_match: str | None = Header(None),
                      if_none_match: str | None = Header(None), _caller: Caller = Depends(writer)) -> Response:
        revision = expected(if_match, if_none_match)
        await current(store_of(request), kind, name, revision)
        return await write(store_of(request), kind, name, value, revision)

    @routes.patch("/{name}", summary=f"Change fields of {what} (RFC 7396); null takes one away")
    async def change(request: Request, name: str, value: dict[str, Any] = body, if_match: str | None = Header(None),
                     _caller: Caller = Depends(writer)) -> Response:
        revision = expected(if_match, None)
        stored = await current(store_of(request), kind, name, revision)
        return await write(store_of(request), kind, name, merged(stored.value, value), revision)

    @routes.delete("/{name}", summary=f"Delete {what}", status_code=204)
    async def remove(request: Request, name: str, if_match: str | None = Header(None),
                     _caller: Caller = Depends(writer)) -> Response:
        revision, store = expected(if_match, None), store_of(request)
        await current(store, kind, name, revision)
        mutations, compares = await companion(store, name)
        key = fc.record_key(kind, name)
        try:
            await store.write([fc.delete(key), *mutations], [(key, revision), *compares])
        except fc.Conflict as error:
            raise Problem(412, f"{name} has changed meanwhile") from error
        return Response(status_code=204)

    return routes
