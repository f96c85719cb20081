"""Which orchestrator does which job: a record under a lease of the CMDB, which goes when its owner does."""
from __future__ import annotations

import asyncio
import logging
import time
from typing import Callable

import fastcontainer as fc

from .store import CLAIMS, JOBS, Store, encoded

__all__ = ["Claims"]

_logger = logging.getLogger("orchestrator.claims")


class Claims:
    """One lease for all claims of this process. `lost` runs when they may be another's already."""

    def __init__(self, store: Store, name: str, ttl: float, lost: Callable[[], None]) -> None:
        self._cmdb = store.cmdb
        self._name = name
        self._ttl = ttl
        self._lost = lost
        self._lease = 0
        self._until = 0.0

    def held(self) -> bool:
        """Whether there is a lease, by this process's clock: a tenth before the store may end it."""
        return self._lease != 0 and time.monotonic() < self._until

    async def keep(self) -> None:
        """Until cancelled: a lease is granted, kept each third of its length, and granted anew after its end."""
        while True:
            asked = time.monotonic()
            try:
                if self._lease:
                    lease = await self._cmdb.lease_keep(self._lease)
                else:
                    lease = await self._cmdb.lease_grant(self._ttl)
                self._lease, self._until = lease.id, asked + 0.9 * lease.ttl
            except fc.NotFound:
                self._drop("it has ended")
                continue
            except fc.Error as error:
                _logger.warning("the lease was not extended: %s", error)
            if self._lease and not self.held():
                self._drop("the CMDB was away for too long")
            await asyncio.sleep(min(self._ttl / 3, 1) if self._lease else 0.5)

    def _drop(self, why: str) -> None:
        _logger.warning("claims are given up: %s", why)
        self._lease = 0
        self._lost()

    async def claim(self, job: str, revision: int) -> int:
        """The revision of the claim on `job`, which is still at `revision`; 0: it is another's, or not now."""
        if not self.held():
            return 0
        key = CLAIMS + job
        try:
            return await self._cmdb.txn([fc.put(key, encoded({"by": self._name}), self._lease)],
                                        [(key, 0), (JOBS + job, revision)])
        except (fc.Conflict, fc.NotFound, fc.CmdbUnavailable):
            return 0
        except fc.UnknownOutcome:
            record = await self._cmdb.get(key, linearizable=True)
            mine = record is not None and record.value == encoded({"by": self._name})
            return record.revision if record is not None and mine else 0

    async def close(self) -> None:
        """Gives everything up at once, so that nobody has to wait for the end of the lease."""
        if self._lease and not self._cmdb._core.closed:
            try:
                await self._cmdb.lease_revoke(self._lease)
            except fc.Error as error:
                _logger.warning("the lease ends by itself: %s", error)
        self._lease = 0
