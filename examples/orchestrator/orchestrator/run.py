"""A job under way. Each step is written before it is done, by compare-and-set on the job and on the claim to it."""
from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Iterable

import fastcontainer as fc

from .store import CLAIMS, JOBS, Store, decoded, encoded

__all__ = ["Cancelled", "Failed", "Lost", "Run"]


class Failed(Exception):
    """The job cannot be done; the text is for people."""


class Cancelled(Exception):
    """Somebody wants the job to end."""


class Lost(Exception):
    """The claim is another's now, who goes on from what is written."""


class Run:
    """What a handler gets: the job as it is written, and `save`, the only way to change it."""

    def __init__(self, store: Store, name: str, job: dict[str, Any], revision: int, claim: int) -> None:
        self.store = store
        self.engine = store.engine
        self.name = name
        self.job = job
        self._revision = revision
        self._claim = claim
        self._reread = False

    @property
    def parameters(self) -> dict[str, Any]:
        """What the job was submitted with."""
        parameters: dict[str, Any] = self.job["parameters"]
        return parameters

    @property
    def progress(self) -> dict[str, Any]:
        """What was done, for the handler and for people."""
        progress: dict[str, Any] = self.job.setdefault("progress", {})
        return progress

    def check(self) -> None:
        """Raises `Cancelled` between two steps."""
        if self.job.get("cancel"):
            raise Cancelled(f"cancelled by {self.job['cancel']}")

    async def save(self, mutations: Iterable[Any] = (), compares: Iterable[tuple[str, int]] = (),
                   release: bool = False, **fields: Any) -> int:
        """
        Write the job with `fields`, and `mutations` in the same transaction.

        Returns the revision. Raises `Lost`, and `Conflict` if one of `compares` does not hold.
        """
        more, conditions = list(mutations), list(compares)
        job, claim = JOBS + self.name, CLAIMS + self.name
        while True:
            self.job.update(fields)
            self.job["serial"] = self.job.get("serial", 0) + 1  # tells this write from any other
            text = encoded(self.job)
            writes = [fc.put(job, text), *more, *([fc.delete(claim)] if release else [])]
            try:
                self._revision = await self.store.cmdb.txn(
                    writes, [(job, self._revision), (claim, self._claim), *conditions])
                return self._revision
            except fc.CmdbUnavailable:
                await asyncio.sleep(random.uniform(0.2, 1))  # for as long as the claims are held
            except (fc.Conflict, fc.UnknownOutcome) as error:
                if await self._written(text):
                    return self._revision
                if isinstance(error, fc.Conflict) and not self._reread:
                    raise

    async def _written(self, text: str) -> bool:
        """Looks at what is there; the one change that others make is to ask for the end."""
        record = await self.store.cmdb.get(JOBS + self.name, linearizable=True)
        self._reread = record is None or record.revision != self._revision
        if record is None:
            raise Lost("it was deleted")
        if record.value == text:
            self._revision = record.revision
            return True
        claim = await self.store.cmdb.get(CLAIMS + self.name, linearizable=True)
        if claim is None or claim.revision != self._claim:
            raise Lost("the claim is another's")
        self._revision = record.revision
        self.job["cancel"] = decoded(record.value).get("cancel")
        return False

    async def routed(self, key: str, seconds: float, path: str = "") -> None:
        """Waits until the container of `key` answers: by its dispatcher's word, and to GET `path`. Raises `Failed`."""
        end, why, failures = time.monotonic() + seconds, "it did not answer in time", 0
        while time.monotonic() < end and failures < 3:
            try:
                async with self.engine.route(key, wait=max(0.1, end - time.monotonic())) as ticket:
                    if not path:
                        return
                    status, _ = await fetched(ticket.address, key, "GET", path, timeout=max(0.1, end - time.monotonic()))
                    if status < 500:
                        return
                    why = f"{path} is answered with {status}"
            except fc.StartFailed as error:
                failures, why = failures + 1, str(error)
                await asyncio.sleep(min(error.retry_after or 0.2, 2))
                continue
            except (fc.Error, OSError, EOFError, ValueError) as error:
                why = str(error) or type(error).__name__
            await asyncio.sleep(0.1)
        raise Failed(why)


async def fetched(address: tuple[str, int], host: str, method: str, path: str, body: bytes = b"",
                  headers: Iterable[tuple[str, str]] = (), timeout: float = 30) -> tuple[int, bytes]:
    """The status and the body of one request to a container."""
    async with asyncio.timeout(timeout):
        stream, sink = await asyncio.open_connection(*address)
        try:
            lines = [f"{method} {path} HTTP/1.0", f"Host: {host}", f"Content-Length: {len(body)}",
                     *(f"{name}: {value}" for name, value in headers)]
            sink.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            head = await stream.readuntil(b"\r\n\r\n")
            return int(head.split(b" ", 2)[1]), await stream.read(1 << 20)
        finally:
            sink.close()
