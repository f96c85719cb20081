"""Whether a container answers."""
from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Mapping

__all__ = ["answers", "check_free"]

_ATTEMPT = 1.0  # seconds for one question


def check_free(address: tuple[str, int]) -> None:
    """Raises `OSError` if somebody listens there: the answer would be taken for the container's."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)


async def answers(address: tuple[str, int], ready: Mapping[str, Any]) -> None:
    """Ends when a GET of `ready.http` is answered below 500, or, without one, when a connection is accepted."""
    while True:
        with contextlib.suppress(OSError, EOFError, ValueError, TimeoutError):
            async with asyncio.timeout(_ATTEMPT):
                if await _asked(address, str(ready.get("http", ""))):
                    return
        await asyncio.sleep(0.01)


async def _asked(address: tuple[str, int], path: str) -> bool:
    stream, sink = await asyncio.open_connection(*address)
    try:
        if not path:
            return True
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        sink.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{address[1]}\r\n\r\n".encode())
        return int((await stream.readline()).split(b" ", 2)[1]) < 500
    except IndexError:
        return False
    finally:
        sink.close()
