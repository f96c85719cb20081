"""Records, transactions, watches, leases, placements."""
import asyncio
import gc

import fastcontainer as fc
from cloud import Cloud, raises


def test_records_are_put_read_listed_and_deleted():
    with fc.Engine("memory:") as engine:
        cmdb = engine.cmdb
        assert cmdb.get("/a/1").result(10) is None
        first = cmdb.put("/a/1", "one", revision=0).result(10)
        cmdb.put("/a/2", "zwei, \u00e9\U0001f600").result(10)
        assert cmdb.get("/a/1", linearizable=True).result(10) == fc.Record("/a/1", "one", first)
        page = cmdb.list("/a/", limit=1).result(10)
        assert [record.key for record in page.records] == ["/a/1"] and page.next
        rest = cmdb.list("/a/", after=page.next, at_revision=page.revision).result(10)
        assert [record.value for record in rest.records] == ["zwei, \u00e9\U0001f600"] and rest.next == ""
        cmdb.delete("/a/1", revision=first).result(10)
        assert cmdb.get("/a/1").result(10) is None


def test_a_conflict_shows_what_is_there():
    with fc.Engine("memory:") as engine:
        revision = engine.cmdb.put("/a", "mine").result(10)
        try:
            engine.cmdb.txn([fc.put("/a", "x"), fc.delete("/b")], [("/a", 0), ("/b", 0)]).result(10)
        except fc.Conflict as conflict:
            assert conflict.records == (fc.Record("/a", "mine", revision), fc.Record("/b", "", 0))
        else:
            raise AssertionError("it was written")


def test_rubbish_is_refused_with_the_field_that_is_wrong():
    with fc.Engine("memory:") as engine:
        key = fc.record_key(fc.RecordKind.SPEC, "site")
        with raises(fc.Invalid):
            engine.cmdb.put(key, '{"v":1,"command":7}')
        assert fc.record_name(key) == (fc.RecordKind.SPEC, "site")
        with raises(fc.Invalid):
            fc.record_name("/other")
        with raises(fc.Invalid):
            fc.record_check(fc.RecordKind.HOST, "h1", '{"address":1}')


def test_a_watch_tells_in_order_until_it_is_closed():
    async def main():
        async with fc.Engine("memory:") as engine:
            seen = []
            async with engine.cmdb.watch("/w/") as watch:
                for i in range(5):
                    await engine.cmdb.put("/w/x", str(i))
                await engine.cmdb.delete("/w/x")
                async for event in watch:
                    if event.record is not None:
                        seen.append((event.kind, event.record.value))
                    if event.kind == fc.EventKind.DELETE:
                        break
            assert [value for kind, value in seen if kind == fc.EventKind.PUT] == list("01234")
            assert [event async for event in watch] == [], "it is closed"
    asyncio.run(main())


def test_a_task_that_waits_for_an_event_can_be_cancelled_and_closed():
    async def main():
        async with fc.Engine("memory:") as engine:
            watch = engine.cmdb.watch("/w/")

            async def read(one):
                return [event async for event in one if event.record]
            first = asyncio.create_task(read(watch))
            await engine.cmdb.get("/x")
            first.cancel()
            with raises(asyncio.CancelledError):
                await first
            second = asyncio.create_task(read(watch))
            await engine.cmdb.get("/x")
            watch.close()
            assert await second == []
            last = asyncio.create_task(read(engine.cmdb.watch("/w/")))
            await engine.cmdb.get("/x")
        with raises(fc.Shutdown):
            await last
    asyncio.run(main())


def test_a_watch_that_nobody_holds_is_cancelled():
    with fc.Engine("memory:") as engine:
        watch = engine.cmdb.watch("/w/")
        op = watch._op
        del watch
        gc.collect()
        engine.process()
        assert engine._core.cancel(op) is False


def test_the_same_for_scripts():
    with fc.Engine("memory:") as engine:
        with engine.cmdb.watch("/w/") as watch:
            engine.cmdb.put("/w/x", "1").result(10)
            for event in watch:
                if event.kind == fc.EventKind.PUT:
                    break
            with raises(TimeoutError):
                while True:
                    watch.wait(0.02)


def test_the_keys_of_a_lease_end_with_it():
    with fc.Engine("memory:") as engine:
        lease = engine.cmdb.lease_grant(60).result(10)
        assert lease.ttl >= 60
        engine.cmdb.put("/l", "x", lease=lease.id).result(10)
        engine.cmdb.lease_keep(lease.id).result(10)
        engine.cmdb.lease_revoke(lease.id).result(10)
        assert engine.cmdb.get("/l").result(10) is None
        with raises(fc.NotFound):
            engine.cmdb.lease_keep(lease.id).result(10)
        with raises(fc.NotFound):
            engine.cmdb.put("/l", "x", lease=lease.id).result(10)


def test_placements_are_written_and_refused():
    with Cloud(hosts=2) as cloud:
        placed = cloud.engine.place("one", "h2", "by hand").result(10)
        assert placed == fc.Placed("one", 0, "h2", "", 1)
        with cloud.engine.route("one.test") as ticket:
            assert ticket.host == "h2"
        with raises(fc.NotFound):
            cloud.engine.place("nobody", "h2").result(10)


def test_an_operation_that_is_cancelled_ends_as_cancelled():
    async def main():
        async with fc.Engine("memory:") as engine:
            call = engine.cmdb.get("/x")
            assert call.cancel() and not call.cancel()
            with raises(asyncio.CancelledError):
                await call
    asyncio.run(main())
