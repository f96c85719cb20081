"""
Scores for proxies that are not Python: a policy's, published through the CMDB, where every router takes them from.

As a program: ``python3 -m fastcontainer.scores CMDB-URL POLICY.py [--class NAME ...]``
"""
from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import json
import logging
import os
import signal
import socket
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterable, NamedTuple, Sequence

import numpy as np

from ._errors import Error, UnknownOutcome
from ._runner import Given, Runner, scores_of
from ._types import RecordKind, Stat, nanoseconds, record_key
from .policy import HostTable, PlaceRequest

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Publisher", "publish"]

_logger = logging.getLogger("fastcontainer.scores")
_PATIENCE = 1.0
_ALL = "*"
_MOST = 1e308  # JSON has no infinity


class _Written(NamedTuple):
    hosts: dict[str, float | None]
    at: float
    revision: int


class Publisher:
    """
    Publishes a policy's scores until its block ends; made by `publish`.

    Attributes
    ----------
    written : dict of str to int
        Records that were written, by class.
    failed : int
        Records that could not be.
    """

    def __init__(self, engine: Engine, policy: Given, classes: Iterable[str], interval: float, valid: float,
                 by: str) -> None:
        if not 0 < interval < valid:
            raise ValueError(f"scores are published more often than they become old: {interval} and {valid} seconds")
        if isinstance(classes, str):
            raise TypeError(f"classes are several names: ({classes!r},)")
        self.written = dict.fromkeys(tuple(classes) or (_ALL,), 0)
        self.failed = 0
        self._engine = engine
        self._interval, self._valid = interval, valid
        self._by = by or f"{socket.gethostname()}:{os.getpid()}"
        self._last: dict[str, _Written] = {}
        self._policy = Runner(policy)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "fastcontainer-scores")
        self._task: asyncio.Task[None] | None = None

    def stats(self) -> list[Stat]:
        """How the policy did, as in `Engine.stats`."""
        return self._policy.stats()

    async def __aenter__(self) -> Publisher:
        self._engine._driver.attach()
        self._task = asyncio.ensure_future(self._run())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        """The routers go back to the built-in policy, unless another publisher has gone on with a class."""
        self._policy.close()
        self._thread.shutdown(wait=False)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for name, last in self._last.items():
            if not self._engine.closed:
                try:
                    await self._engine.cmdb.delete(record_key(RecordKind.SCORES, name), revision=last.revision)
                except Error as why:
                    _logger.info("the scores of class %s are left to become old: %s", name, why)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begin = loop.time()
            for name, hosts in (await loop.run_in_executor(self._thread, self._scores)).items():
                if self._is_due(name, hosts):
                    await self._write(name, hosts)
            await asyncio.sleep(max(0.0, begin + self._interval - loop.time()))

    def _scores(self) -> dict[str, dict[str, float | None]]:
        """By class; off the loop's thread, which makes the copy of the hosts."""
        columns = self._engine._core.hosts(nanoseconds(_PATIENCE))
        found = {}
        for name in self.written if columns is not None else ():
            assert columns is not None
            outcome, scores = self._policy.ask(PlaceRequest.of_class("" if name == _ALL else name), columns, _by_host,
                                             budget=self._interval)
            if scores is not None:
                found[name] = scores
        return found

    def _is_due(self, name: str, hosts: dict[str, float | None]) -> bool:
        last = self._last.get(name)
        return last is None or hosts != last.hosts or time.monotonic() - last.at >= self._valid / 2

    async def _write(self, name: str, hosts: dict[str, float | None]) -> None:
        record = {"v": 1, "by": self._by, "at_ms": time.time_ns() // 1_000_000, "valid_s": self._valid, "hosts": hosts}
        began = time.monotonic()
        try:
            revision = await self._engine.cmdb.put(record_key(RecordKind.SCORES, name),
                                                   json.dumps(record, separators=(",", ":")))
        except UnknownOutcome:
            self.failed += 1
        except Error as why:
            self.failed += 1
            _logger.warning("the scores of class %s cannot be written: %s", name, why)
        else:
            self.written[name] += 1
            self._last[name] = _Written(hosts, began, revision)


def _by_host(answer: Any, hosts: HostTable) -> dict[str, float | None]:
    # Nine digits are what a float32 has; more would be different each time, and is to be sent to every router.
    scores = np.nan_to_num(scores_of(answer, hosts), nan=-np.inf, posinf=_MOST, neginf=-np.inf)
    return {host: float(f"{score:.9g}") if score > -np.inf else None for host, score in zip(hosts.ids, scores.tolist())}


def publish(engine: Engine, policy: Given, *, classes: Iterable[str] = (), interval: float = 1.0, valid: float = 10.0,
            by: str = "") -> Publisher:
    """
    Publish a policy's scores: ``async with publish(engine, policy): ...``

    Every router that reads the same CMDB applies them, and the built-in policy once they are old. The policy runs in a thread of
    its own and gives scores only; where it fails, what was published becomes old.

    Parameters
    ----------
    engine : Engine
        Whose hosts, as it sees them, are scored: one that routes itself knows their load and response times.
    policy : Policy, callable, or path of a Python file
        As for `Engine`. Is asked for each class by itself, as `PlaceRequest.class_name`.
    classes : iterable of str
        Of containers. Empty: one table for all classes without their own.
    interval : float
        Seconds. What has not changed is written again after half of `valid`.
    valid : float
        Seconds from when a router receives scores to when they are old to it.
    by : str
        Who publishes, for people who look at the record.
    """
    return Publisher(engine, policy, classes, interval, valid, by)


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m fastcontainer.scores",
                                     description="Publishes the scores of a policy through the CMDB, for every router.")
    parser.add_argument("cmdb", metavar="CMDB-URL")
    parser.add_argument("policy", metavar="POLICY.py", help="loaded again when it changes")
    parser.add_argument("--class", dest="classes", action="append", default=[], metavar="NAME",
                        help="of containers, once for each; default: all without a table of their own")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds (%(default)s)")
    parser.add_argument("--valid", type=float, default=10.0, help="seconds until routers hold it for old (%(default)s)")
    parser.add_argument("--name", default="", help="of this engine; default: machine and process")
    parser.add_argument("--cluster-key-file", default="")
    return parser.parse_args(arguments)


async def _main(given: argparse.Namespace) -> None:
    from .engine import Engine
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with Engine(given.cmdb, name=given.name, cluster_key_file=given.cluster_key_file) as engine:
        async with publish(engine, given.policy, classes=given.classes, interval=given.interval, valid=given.valid,
                           by=given.name):
            await ended.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    asyncio.run(_main(_given(None)))
