"""Hooks: to be told of placements, starts and stops, and to say no."""
from __future__ import annotations

import enum
import logging
from typing import Callable, NamedTuple

__all__ = ["Hook", "HookEvent", "HookPoint"]

_logger = logging.getLogger("fastcontainer.hooks")


class HookPoint(enum.IntEnum):
    """When a hook is called."""

    BEFORE_PLACE = 1
    AFTER_PLACE = 2
    BEFORE_RELOCATE = 3
    AFTER_RELOCATE = 4
    BEFORE_START = 5
    AFTER_START = 6
    READY = 7
    IDLE = 8
    BEFORE_STOP = 9
    AFTER_STOP = 10
    RESIZED = 11
    HOST_DOWN = 12
    HOST_UP = 13
    FENCE = 14


class HookEvent(NamedTuple):
    """`host`: where it is going to be, or the host concerned; `from_host`: of relocations."""

    point: HookPoint
    container: str
    host: str
    from_host: str
    reason: str
    epoch: int
    replica: int


Hook = Callable[[HookEvent], object]
"""
Returning False is a veto, which counts for `FENCE` and the points before something. It must not block, and may not call
the engine. One that raises is logged, and is a veto at `FENCE` only: the storage was perhaps not told.
"""


class Runner:
    """The vtable's side of a hook."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook

    def event(self, point: int, *fields: object) -> bool:
        event = HookEvent(HookPoint(point), *fields)  # type: ignore[arg-type]
        try:
            return self._hook(event) is not False
        except Exception:  # pylint: disable=broad-except
            _logger.exception("the hook failed at %s of %s", event.point.name, event.container)
            return event.point != HookPoint.FENCE
