"""Routes, tickets and the loop, blocking and by asyncio."""
import asyncio
import gc
import os
import select
import threading

import fastcontainer as fc
import pytest
from cloud import Cloud, raises, stat


def open_tickets(engine):
    return stat(engine, "fastcontainer_tickets_open")


def test_a_route_names_where_to_connect_and_its_ticket_ends_with_the_block():
    with Cloud() as cloud:
        with cloud.engine.route("one.test") as ticket:
            assert (ticket.container, ticket.host, ticket.reason) == ("one", "h1", fc.Reason.PLACED)
            assert ticket.address == cloud.runtime.requests[0].address and ticket.open
            assert open_tickets(cloud.engine) == 1
        assert not ticket.open and open_tickets(cloud.engine) == 0
        with cloud.engine.route("one.test") as ticket:
            assert ticket.reason == fc.Reason.LEASE and ticket.attempt == 1


def test_asyncio_the_same_without_blocking():
    async def main():
        async with Cloud() as cloud:
            beats = []
            beating = asyncio.create_task(beat(beats))
            async with cloud.engine.route("one.test") as ticket:
                assert ticket.address == cloud.runtime.requests[0].address
            beating.cancel()
            assert beats, "others ran while the container started"
            again = await cloud.engine.route("one.test")
            assert again.reason == fc.Reason.LEASE
            again.end()
    asyncio.run(main())


async def beat(beats):
    while True:
        beats.append(1)
        await asyncio.sleep(0)


def test_many_tasks_share_one_start():
    async def main():
        async with Cloud() as cloud:
            tickets = await asyncio.gather(*(ask(cloud.engine) for _ in range(10)))
            assert len(set(tickets)) == 1 and len(cloud.runtime.requests) == 1
    asyncio.run(main())


async def ask(engine):
    async with engine.route("one.test") as ticket:
        return ticket.endpoint


def test_errors_are_exceptions_with_the_status_that_a_proxy_answers():
    with Cloud() as cloud:
        with raises(fc.UnknownKey, http_status=404, name="FC_E_UNKNOWN_KEY"):
            cloud.engine.route("nobody.test").result(10)
        cloud.runtime.fail = RuntimeError("no disk")
        with raises(fc.StartFailed, http_status=503):
            cloud.engine.route("one.test").result(10)
        with pytest.raises(fc.StartFailed, match="no disk"):
            cloud.engine.route("one.test").result(10)
        with raises(fc.Invalid):
            cloud.engine.route("x" * 70000)._ask()


def test_a_task_that_is_cancelled_cancels_its_route_and_leaves_no_ticket():
    async def main():
        async with Cloud() as cloud:
            cloud.runtime.hold = True
            waiting = asyncio.create_task(ask(cloud.engine))
            while not cloud.runtime.held:
                await asyncio.sleep(0.001)
            waiting.cancel()
            with raises(asyncio.CancelledError):
                await waiting
            cloud.runtime.held[0].done()
            async with cloud.engine.route("one.test"):
                assert open_tickets(cloud.engine) == 1
            assert open_tickets(cloud.engine) == 0
    asyncio.run(main())


def test_a_task_that_is_cancelled_when_the_answer_is_there_gives_its_ticket_back():
    async def main():
        async with Cloud() as cloud:
            route = cloud.engine.route("one.test")
            call = route._ask()
            waiting = asyncio.ensure_future(wait(call))
            await asyncio.sleep(0)
            while not call.done():
                select.select([cloud.engine], [], [], 5)
                cloud.engine.process()
            waiting.cancel()
            with raises(asyncio.CancelledError):
                await waiting
            assert open_tickets(cloud.engine) == 0
    asyncio.run(main())


async def wait(call):
    return await call


def test_a_timeout_cancels():
    with Cloud() as cloud:
        cloud.runtime.hold = True
        with raises(TimeoutError):
            cloud.engine.route("one.test").result(0.05)
        with raises(fc.TimedOut, http_status=504):
            cloud.engine.route("one.test", wait=0.05).result(10)
    async def main():
        async with Cloud() as cloud:
            cloud.runtime.hold = True
            with raises(asyncio.TimeoutError):
                await asyncio.wait_for(ask(cloud.engine), 0.05)
    asyncio.run(main())


@pytest.mark.parametrize("on_lost", [None, print])
def test_a_ticket_that_was_let_go_of_is_ended(on_lost):
    with Cloud() as cloud:
        ticket = cloud.engine.route("one.test", on_lost=on_lost).result(10)
        assert open_tickets(cloud.engine) == 1
        box = [ticket]
        del ticket
        other = threading.Thread(target=box.clear)
        other.start()
        other.join()
        gc.collect()
        cloud.engine.process()
        assert open_tickets(cloud.engine) == 0


def test_the_exception_that_leaves_the_block_says_how_the_request_went():
    assert fc.outcome_of(None) == fc.Outcome.OK
    assert fc.outcome_of(ConnectionRefusedError()) == fc.Outcome.REFUSED
    assert fc.outcome_of(ConnectionResetError()) == fc.Outcome.CLOSED
    assert fc.outcome_of(asyncio.IncompleteReadError(b"", 1)) == fc.Outcome.CLOSED
    assert fc.outcome_of(TimeoutError()) == fc.outcome_of(asyncio.TimeoutError()) == fc.Outcome.TIMEOUT
    assert fc.outcome_of(OSError(113, "no route")) == fc.Outcome.CONNECT_FAILED
    assert fc.outcome_of(ValueError()) == fc.outcome_of(asyncio.CancelledError()) == fc.Outcome.CANCELLED
    with Cloud() as cloud:
        with raises(KeyError):
            with cloud.engine.route("one.test"):
                raise KeyError("the client's")
        assert open_tickets(cloud.engine) == 0


def test_a_request_is_sent_again_only_where_that_is_safe():
    with Cloud() as cloud:
        ticket = cloud.engine.route("one.test").result(10)
        again = cloud.engine.retry(ticket, fc.Outcome.REFUSED, bytes_written=False).result(10)
        assert again.attempt == 2 and not ticket.open
        with raises(fc.Unsafe, http_status=502):
            cloud.engine.retry(again, fc.Outcome.CLOSED, bytes_written=True).result(10)
        assert open_tickets(cloud.engine) == 0


def test_the_owner_of_a_ticket_is_told_that_its_container_ended():
    with Cloud() as cloud:
        lost = []
        ticket = cloud.engine.route("one.test", on_lost=lost.append).result(10)
        instance, = cloud.runtime.listening
        cloud.runtime.listening[instance].close()
        cloud.runtime.exits.ended(instance, "it crashed")
        assert cloud.engine.run_until(lambda: lost, 10)
        assert lost == [fc.Lost.CONTAINER] and ticket.open
        again = cloud.engine.retry(ticket, fc.Outcome.CLOSED, bytes_written=False).result(10)
        assert again.endpoint != ticket.endpoint
        again.end()


def test_close_ends_what_is_awaited_and_no_callback_comes_later():
    async def main():
        cloud = Cloud()
        async with cloud:
            cloud.runtime.hold = True
            waiting = [asyncio.create_task(ask(cloud.engine)) for _ in range(3)]
            while not cloud.runtime.held:
                await asyncio.sleep(0.001)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [fc.Shutdown] * 3
        assert cloud.runtime.held[0].done() is False, "nobody waits for it"
        assert cloud.engine.closed
        with raises(RuntimeError):
            cloud.engine.stats()
        cloud.engine.close()
    asyncio.run(main())


def test_a_callback_may_neither_run_the_loop_nor_close_the_engine():
    with Cloud() as cloud:
        told = []

        def on_result(_error, _fields):
            for forbidden in (cloud.engine.process, cloud.engine._core.close):
                with raises(RuntimeError):
                    forbidden()
            told.append(1)
        cloud.engine._core.get("/x", False, on_result)
        assert cloud.engine.run_until(lambda: told, 10)


def test_an_engine_belongs_to_its_thread_and_can_be_woken_from_any():
    with Cloud() as cloud:
        seen = []

        def use():
            try:
                cloud.engine.stats()
            except RuntimeError as error:
                seen.append(str(error))
            cloud.engine.wake()
        cloud.engine.process()
        other = threading.Thread(target=use)
        other.start()
        other.join()
        assert "thread" in seen[0]
        assert select.select([cloud.engine], [], [], 10)[0]


def test_an_engine_from_before_fork_raises_in_the_child_which_makes_its_own():
    with Cloud() as cloud:
        with cloud.engine.route("one.test"):
            pass
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with raises(RuntimeError):
                    cloud.engine.stats()
                with raises(RuntimeError):
                    cloud.engine.close()
                with Cloud() as own:
                    with own.engine.route("two.test"):
                        status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with cloud.engine.route("one.test") as ticket:
            assert ticket.reason == fc.Reason.LEASE


def test_an_engine_that_was_not_closed_says_so():
    engine = fc.Engine("memory:")
    with pytest.warns(ResourceWarning, match="not closed"):
        del engine
        gc.collect()


def test_one_loop_after_another_but_not_two_at_once():
    with Cloud() as cloud:
        async def get():
            return await cloud.engine.cmdb.get("/absent")
        assert asyncio.run(get()) is None
        assert asyncio.run(get()) is None, "the first loop is closed"
        first = asyncio.new_event_loop()
        first.run_until_complete(get())
        with raises(RuntimeError):
            asyncio.run(get())
        cloud.engine._driver.detach()
        first.close()


def test_the_options_are_checked_and_named():
    with pytest.raises(fc.Error, match="nonsense"):
        fc.Engine("nonsense:x")
    with pytest.raises(fc.NotFound):
        fc.Engine("memory:", cluster_key_file="/nonexistent")
    with pytest.raises(TypeError):
        fc.Engine("memory:", nonsense=1)
