"""Specs of containers, the classes that give their defaults, and the keys by which requests find them."""
from __future__ import annotations

from typing import Any

from fastcontainer import RecordKind

from .records import router
from .store import Store

__all__ = ["classes", "keys", "specs"]


async def _with_placement(store: Store, name: str) -> tuple[list[Any], list[tuple[str, int]]]:
    return await store.tombstone(name)


specs = router(RecordKind.SPEC, "specs", "a container's spec",
               {"class": "wordpress", "concurrency": 16, "ready": {"http": "/", "timeout_s": 30}}, _with_placement)
classes = router(RecordKind.CLASS, "classes", "a class of specs",
                 {"command": ["/usr/bin/site", "--port", "$PORT"], "keep_alive": {"idle_s": 300}})
keys = router(RecordKind.KEY, "keys", "a key", {"container": "site-42"})
