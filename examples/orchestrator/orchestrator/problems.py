"""Answers that say what is wrong: application/problem+json, RFC 9457."""
from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

import fastcontainer as fc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

__all__ = ["Problem", "install", "of_record"]

_TITLES = {401: "A token is needed", 403: "The token does not permit it", 404: "There is none", 409: "It is in use",
           412: "It has changed", 422: "A value is not accepted", 428: "Say which revision is meant",
           503: "Not now"}
_FIELD = re.compile(r'field "([^"]+)"')


class Problem(Exception):
    """Ends a request. `errors` are fields, each with what is accepted."""

    def __init__(self, status: int, detail: str, errors: Sequence[tuple[str, str]] = (),
                 headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers

    def response(self) -> Response:
        """As it is sent."""
        body: dict[str, Any] = {"type": "about:blank", "title": _TITLES.get(self.status, "It failed"),
                                "status": self.status, "detail": self.detail}
        if self.errors:
            body["errors"] = [{"field": field, "detail": detail} for field, detail in self.errors]
        return JSONResponse(body, self.status, dict(self.headers or {}), "application/problem+json")


def of_record(error: fc.Error) -> Problem:
    """The library's own check of a record, whose message names the field."""
    text = str(error)
    found = _FIELD.search(text)
    return Problem(422, text, [(found.group(1) if found else "", text)])


def _of_library(error: fc.Error) -> Problem:
    if isinstance(error, fc.Invalid):
        return of_record(error)
    headers = {"Retry-After": str(max(1, round(error.retry_after or 1)))} if error.http_status == 503 else None
    if isinstance(error, fc.UnknownOutcome):
        return Problem(503, f"it may have been written, read it again: {error}", headers=headers)
    return Problem(error.http_status, str(error), headers=headers)


def install(app: FastAPI) -> None:
    """Every error of `app` becomes a problem."""

    @app.exception_handler(Problem)
    async def on_problem(_request: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(fc.Error)
    async def on_library(_request: Request, error: fc.Error) -> Response:
        return _of_library(error).response()

    @app.exception_handler(HTTPException)
    async def on_http(_request: Request, error: HTTPException) -> Response:
        return Problem(error.status_code, str(error.detail), headers=error.headers).response()

    @app.exception_handler(RequestValidationError)
    async def on_validation(_request: Request, error: RequestValidationError) -> Response:
        fields = [(".".join(str(part) for part in one["loc"][1:]), str(one["msg"])) for one in error.errors()]
        detail = "; ".join(f"{field}: {text}" for field, text in fields)
        return Problem(422, detail, fields).response()
