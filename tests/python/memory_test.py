"""Memory stays flat: what a million operations leave behind is nothing."""
import asyncio
import gc
import resource

import fastcontainer as fc
import numpy as np
from cloud import Cloud
from fastcontainer.policy import policy

ALLOWED = 3 << 20  # a million leaked objects would be 50 times as much


def resident():
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def grown(run, count):
    """Bytes by which `run(count)` makes the process grow once it has warmed up."""
    run(count // 10)
    before = resident()
    run(count)
    return resident() - before


def test_routes():
    with Cloud() as cloud:
        def run(count):
            for _ in range(count):
                with cloud.engine.route("one.test"):
                    pass
        assert grown(run, 1_000_000) < ALLOWED


def test_lost_tickets_watches_errors_and_records():
    with Cloud() as cloud:
        engine = cloud.engine

        def run(count):
            for i in range(count):
                ticket = engine.route("one.test", on_lost=print).result()
                if i % 2:
                    ticket.end()
                engine.cmdb.watch("/nothing/")
                engine.cmdb.get("/absent").cancel()
                try:
                    engine.cmdb.put("/x", "", revision=1 << 40).result()
                except fc.Conflict:
                    pass
                ticket = None
                engine.process()
        assert grown(run, 30_000) < ALLOWED


def test_asyncio():
    async def main():
        async with Cloud() as cloud, fc.Prober(fc.Mechanism.TCP_CONNECT) as prober:
            async def some(count):
                for _ in range(count):
                    async with cloud.engine.route("one.test"):
                        await cloud.engine.cmdb.get("/absent")
                    probe = asyncio.ensure_future(wait(prober.probe("127.0.0.1", 1, deadline=5)))
                    await asyncio.sleep(0)
                    probe.cancel()
            await some(3_000)
            before = resident()
            await some(30_000)
            assert resident() - before < ALLOWED
    asyncio.run(main())


async def wait(call):
    return await call


def test_policies():
    @policy(budget=10)
    def choose(request, hosts):
        return np.flatnonzero(hosts.id_hash != hosts.id_hash[hosts.row(request.avoid_host)] if request.avoid_host
                              else hosts.flags)
    kept = []

    def keep(_request, hosts):
        kept[:] = [hosts.free_cpu, hosts.flags[1:], hosts]
        return None
    for function in (choose, keep):
        with Cloud(hosts=2, policy=function, relocations_per_second=1_000_000, relocation_burst=1_000_000) as cloud:
            def run(count):
                for _ in range(count):
                    cloud.engine.place("one").result()
            assert grown(run, 5_000) < ALLOWED
