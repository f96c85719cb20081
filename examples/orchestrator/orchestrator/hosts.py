"""Hosts: their records. A dispatcher writes its host's at its start, and keeps what it does not own."""
from __future__ import annotations

from typing import Any

from fastcontainer import RecordKind

from .problems import Problem
from .records import router
from .store import Store

__all__ = ["routes"]


async def _empty(store: Store, name: str) -> tuple[list[Any], list[tuple[str, int]]]:
    for container, host in (await store.placed()).items():
        if host == name:
            raise Problem(409, f"{container} is placed on it: drain it first")
    return [], []


routes = router(RecordKind.HOST, "hosts", "a host",
                {"address": "10.1.0.12", "dispatcher_port": 7070, "capacity": {"cpu": 8, "memory": 8589934592},
                 "labels": {"zone": "a"}, "admin": "up"}, _empty)
