"""Placement policies in Python against the built-in one, by turns, in a process of its own; prints medians and percentiles as JSON.

`placements`: microseconds of one placement among 10,000 hosts, on an idle machine. `busy`: milliseconds of a request whose container
has no placement yet, while another thread of the process does nothing but run Python; its hosts are another process."""
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import fastcontainer as fc
import numpy as np
from cloud import Sockets, free_port
from fastcontainer.policy import policy

HOSTS, TURNS, EACH = 10_000, 10, 40
BUSY_TURNS, BUSY_EACH = 45, 20
SPEC = json.dumps({"v": 1, "command": ["x"], "keep_alive": {"idle_s": 0}})


def roomy(request, hosts):
    """Scores for all hosts, each of another kind of column."""
    load = hosts.in_flight + hosts.running + 10 * hosts.error_rate
    return np.where(hosts.fits(request), np.minimum(hosts.free_memory, 1e15) / (1 + load), -np.inf)


KINDS = {
    "built_in": None,
    "scores": policy(budget=5)(lambda request, hosts: roomy(request, hosts)),
    "row": policy(budget=5)(lambda request, _hosts: int(request.avoid_host == "host0")),
    "precomputed": policy(precompute=True)(lambda request, hosts: roomy(request, hosts)),
}


async def until(true):
    while not true():
        await asyncio.sleep(0.01)


def number(engine, name, labels=""):
    return sum(stat.value for stat in engine.stats() if stat.name == name and labels in stat.labels)


async def ready(engine, kind, container):
    """The engine knows the hosts, and has what the kind of policy is to give it."""
    await engine.place(container)
    if kind == "precomputed":
        await until(lambda: number(engine, "fastcontainer_python_policy_calls_total", '"used"') >= 3)


async def write(cmdb, records):
    for i in range(0, len(records), 100):
        await cmdb.txn([fc.put(key, value) for key, value in records[i:i + 100]])


async def placements():
    def host(i):
        record = {"v": 1, "incarnation": 1, "address": f"127.1.{i // 200}.{i % 200 + 1}", "dispatcher_port": 7070,
                  "capacity": {"cpu": 8, "memory": 1 << 34}, "admin": "up"}
        return fc.record_key(fc.RecordKind.HOST, f"host{i}"), json.dumps(record)

    taken = {kind: [] for kind in KINDS}
    async with contextlib.AsyncExitStack() as stack:
        engines = {}
        for kind, chooses in KINDS.items():
            engine = fc.Engine("memory:placements", name=kind, policy=chooses, relocations_per_second=1_000_000,
                               relocation_burst=1_000_000)
            engines[kind] = await stack.enter_async_context(engine)
        await write(engine.cmdb, [host(i) for i in range(HOSTS)])
        await write(engine.cmdb, [(fc.record_key(fc.RecordKind.SPEC, kind), SPEC) for kind in KINDS])
        for kind, engine in engines.items():
            await ready(engine, kind, kind)
        for _ in range(TURNS):
            for kind, engine in engines.items():
                for _ in range(EACH):
                    begin = time.perf_counter_ns()
                    await engine.place(kind)
                    taken[kind].append((time.perf_counter_ns() - begin) / 1e3)
    return {kind: statistics.median(values) for kind, values in taken.items()}


async def hosts(cmdb):
    """The other process: until its standard input ends."""
    async with fc.Engine(cmdb, name="hosts") as engine:
        for i in (1, 2, 3):
            address = f"127.0.0.{i}"
            one = fc.Dispatcher(engine, f"h{i}", address=address, port=free_port(address), runtime=Sockets())
            await one.ready
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class Busy:
    """A thread that holds the GIL for as long as it is let."""

    def __enter__(self):
        self.over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        value = 0
        while not self.over:
            value = (value * 31 + 7) % 1_000_003

    def __exit__(self, *_exception):
        self.over = True
        self.thread.join()


async def busy_turn(cmdb, kind, turn):
    names = [f"{kind}-{turn}-{i}" for i in range(BUSY_EACH)]
    async with fc.Engine(cmdb, name=f"{kind}-{turn}", policy=KINDS[kind]) as engine:
        records = [(fc.record_key(fc.RecordKind.SPEC, name), SPEC) for name in [*names, f"{kind}-{turn}"]]
        records += [(fc.record_key(fc.RecordKind.KEY, name), json.dumps({"v": 1, "container": name})) for name in names]
        await write(engine.cmdb, records)
        await ready(engine, kind, f"{kind}-{turn}")
        taken = []
        with Busy():
            for name in names:
                begin = time.perf_counter_ns()
                async with engine.route(name):
                    taken.append((time.perf_counter_ns() - begin) / 1e6)
        return taken


async def busy():
    taken = {kind: [] for kind in KINDS if kind != "row"}
    with tempfile.TemporaryDirectory() as folder:
        cmdb = f"sqlite:{folder}/cmdb.sqlite"
        with subprocess.Popen([sys.executable, __file__, "hosts", cmdb], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            other.stdout.readline()
            for turn in range(BUSY_TURNS):
                for kind, values in taken.items():
                    values += await busy_turn(cmdb, kind, turn)
            other.stdin.close()
    return {kind: {"p50": statistics.median(values), "p99": sorted(values)[len(values) * 99 // 100]}
            for kind, values in taken.items()}


if __name__ == "__main__":
    if sys.argv[1:2] == ["hosts"]:
        asyncio.run(hosts(sys.argv[2]))
        os._exit(0)
    print(json.dumps({"placements": asyncio.run(placements()), "busy": asyncio.run(busy())}))
