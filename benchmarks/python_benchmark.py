"""A warm route in asyncio against the least that a task can wait for: a byte in a socket pair, by add_reader. By turns, in a
process of its own. And placement policies in Python: python_policies.py."""
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from row import Row

HERE = os.path.dirname(os.path.abspath(__file__))
TURNS, EACH = 50, 400


def rows():
    build = os.path.dirname(os.environ["FASTCONTAINER_BIN"].rstrip("/"))
    if not os.path.isdir(os.path.join(build, "python", "fastcontainer")):
        yield Row("python", "warm_route", skipped="the Python package is not built")
        return
    environment = {**os.environ, "PYTHONPATH": f"{build}/python:{HERE}/../tests/python"}

    def run(script):
        return json.loads(subprocess.run([sys.executable, script], env=environment, check=True, text=True,
                                         stdout=subprocess.PIPE).stdout)
    figures = run(__file__)
    for name in ("warm_route", "cmdb_get"):
        yield Row("python", name, figures[name], "us", figures["round_trip"], "add_reader round trip, p50")
    figures = run(os.path.join(HERE, "python_policies.py"))
    placements, busy = figures["placements"], figures["busy"]
    for name in ("scores", "row", "precomputed"):
        yield Row("python", f"placement_{name}", placements[name], "us", placements["built_in"],
                  "built-in policy, 10,000 hosts, p50")
    for name in ("scores", "precomputed"):
        yield Row("python", f"busy_{name}", busy[name]["p99"], "ms", busy["built_in"]["p99"],
                  "built-in policy, a Python thread beside, p99")


async def times(operation, count):
    """Microseconds of each."""
    taken = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        await operation()
        taken.append((time.perf_counter_ns() - begin) / 1e3)
    return taken


class RoundTrip:
    """A byte to oneself, and the task that waits for it."""

    def __init__(self, loop):
        self.near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.loop = loop
        self.future = None
        loop.add_reader(self.far, self.on_ready)

    def on_ready(self):
        self.far.recv(16)
        self.future.set_result(None)

    async def __call__(self):
        self.future = self.loop.create_future()
        self.near.send(b"x")
        await self.future


async def measure():
    from cloud import Cloud

    async with Cloud() as cloud:
        async def route():
            async with cloud.engine.route("one.test"):
                pass

        async def get():
            await cloud.engine.cmdb.get("/absent")

        kinds = {"warm_route": route, "cmdb_get": get, "round_trip": RoundTrip(asyncio.get_running_loop())}
        taken = {name: [] for name in kinds}
        for _ in range(TURNS):
            for name, operation in kinds.items():
                taken[name] += await times(operation, EACH)
        return {name: statistics.median(values) for name, values in taken.items()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure())))
