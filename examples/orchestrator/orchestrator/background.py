"""What runs beside the requests: a task that fails is told and begun again, for nobody would notice its absence."""
from __future__ import annotations

import asyncio
import logging
from typing import Awaitable, Callable

__all__ = ["begun"]

_logger = logging.getLogger("orchestrator.background")


def begun(work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Goes on until it is cancelled."""
    async def forever() -> None:
        while True:
            try:
                await work()
            except Exception:  # pylint: disable=broad-except
                _logger.exception("%s begins again", getattr(work, "__qualname__", work))
            await asyncio.sleep(1)
    return asyncio.create_task(forever())
