"""Bearer tokens, RFC 6750: one line of the file for each, `ROLE NAME SHA256`, where ROLE is read or write."""
from __future__ import annotations

import hashlib
import hmac
import os
from typing import NamedTuple

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from .problems import Problem

__all__ = ["Caller", "Tokens", "reader", "writer"]

_ROLES = ("read", "write")
_bearer = HTTPBearer(auto_error=False)


class Caller(NamedTuple):
    """Whose token it is."""

    name: str
    role: str


class Tokens:
    """The file of tokens, read again when it has changed. It holds hashes, so that reading it lets nobody in."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._callers: dict[str, Caller] = {}
        self._read()

    def _read(self) -> None:
        status = os.stat(self._path)
        if self._stamp == (status.st_mtime_ns, status.st_ino):
            return
        callers: dict[str, Caller] = {}
        with open(self._path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                words = line.split()
                if not words or words[0].startswith("#"):
                    continue
                if len(words) != 3 or words[0] not in _ROLES or len(words[2]) != 64:
                    raise ValueError(f"{self._path}:{number}: accepted is: read|write NAME SHA256 (64 digits)")
                callers[words[2].lower()] = Caller(words[1], words[0])
        self._callers = callers
        self._stamp = (status.st_mtime_ns, status.st_ino)

    def find(self, token: str) -> Caller | None:
        """Who has this token. A file that cannot be read changes nothing."""
        try:
            self._read()
        except (OSError, ValueError):
            pass
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, digest):
                found = caller
        return found


async def reader(request: Request, credentials: HTTPAuthorizationCredentials | None = Depends(_bearer)) -> Caller:
    """Any token."""
    tokens: Tokens = request.app.state.tokens
    caller = tokens.find(credentials.credentials) if credentials else None
    if caller is None:
        challenge = 'Bearer error="invalid_token"' if credentials else "Bearer"
        raise Problem(401, "Authorization: Bearer TOKEN", headers={"WWW-Authenticate": challenge})
    return caller


async def writer(caller: Caller = Depends(reader)) -> Caller:
    """A token that may change something."""
    if caller.role != "write":
        raise Problem(403, f"{caller.name} may only read")
    return caller
