"""Verdicts on hosts; by TCP where ICMP may not be permitted."""
import asyncio
import os
import select
import socket
import threading

import fastcontainer as fc
from cloud import free_port, raises

TCP = fc.Mechanism.TCP_CONNECT


def test_one_verdict_for_a_script():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = fc.probe_once("127.0.0.1", port, mechanism=TCP, deadline=5)
    assert result.verdict == fc.Verdict.UP and result.up and result.rtt_ns > 0 and result.deadline_ns == 5 * 10**9
    closed = fc.probe_once("127.0.0.1", port, mechanism=TCP, deadline=5)
    assert closed.verdict == fc.Verdict.UP_PORT_CLOSED and closed.up


def test_asyncio_probes_while_others_run():
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            async with fc.Prober(TCP) as prober:
                results = await asyncio.gather(*(prober.probe("127.0.0.1", port, deadline=5) for _ in range(20)))
                assert all(result.up for result in results)
                batch = await prober.batch([("127.0.0.1", port), ("127.0.0.2", 1)], deadline=5)
                assert [result.verdict for result in batch] == [fc.Verdict.UP, fc.Verdict.UP_PORT_CLOSED]
                assert await prober.batch([]) == []
                assert prober.stats()["open"] == 0
    asyncio.run(main())


def test_silence_is_judged_at_the_deadline_without_a_packet_to_wake_the_loop():
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            async with fc.Prober() as prober:
                result = await prober.probe("127.0.0.1", silent.getsockname()[1], mechanism=fc.Mechanism.UDP,
                                            deadline=0.03, hedge=())
                assert result.verdict == fc.Verdict.DOWN_TIMEOUT and not result.up
    asyncio.run(main())


def test_cancelling_and_closing_end_what_is_awaited():
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            port = silent.getsockname()[1]
            prober = fc.Prober()
            call = prober.probe("127.0.0.1", port, mechanism=fc.Mechanism.UDP, deadline=60)
            waiting = asyncio.create_task(wait(call))
            await asyncio.sleep(0)
            waiting.cancel()
            with raises(asyncio.CancelledError):
                await waiting
            assert prober.stats()["open"] == 0
            other = asyncio.create_task(wait(prober.probe("127.0.0.1", port, mechanism=fc.Mechanism.UDP, deadline=60)))
            many = asyncio.create_task(wait(prober.batch([("127.0.0.1", port)], mechanism=fc.Mechanism.UDP, deadline=60)))
            await asyncio.sleep(0)
            prober.close()
            for ended in (other, many):
                with raises(asyncio.CancelledError):
                    await ended
            prober.close()
            with raises(RuntimeError):
                prober.probe("127.0.0.1", port)
    asyncio.run(main())


async def wait(call):
    return await call


def test_evidence_answers_without_a_packet():
    with fc.Prober(TCP) as prober:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as connection:
                listener.accept()[0].close()
                connection.recv(1)
                prober.note_connection(connection)
        prober.note_alive("127.0.0.1", 0.001)
        result = prober.probe("127.0.0.1", port, freshness=60).result(10)
        assert result.up and result.shared and prober.stats()["packets_sent"] == 0


def test_options_are_checked_and_named():
    with fc.Prober(TCP) as prober:
        with raises(ValueError):
            prober.probe("not-numeric.example", 80)
        with raises(TypeError):
            prober.probe("127.0.0.1", 80, nonsense=1)
        with raises(fc.Invalid):
            prober.probe("127.0.0.1", 80, dscp=64)


def test_loops_of_other_kinds_poll_the_descriptor():
    with fc.Prober(TCP) as prober, socket.create_server(("127.0.0.1", 0)) as listener:
        call = prober.probe("127.0.0.1", listener.getsockname()[1], deadline=5)
        while not call.done():
            select.select([prober], [], [], 5)
            prober.process()
        assert call.result().up


def test_a_prober_from_before_fork_raises_in_the_child():
    with fc.Prober(TCP) as prober:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with raises(RuntimeError):
                    prober.stats()
                with fc.Prober(TCP) as own:
                    own.stats()
                    status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_engine_probes_too():
    with fc.Engine("memory:") as engine:
        result = engine.probe("127.0.0.1", free_port("127.0.0.1"), mechanism=TCP, deadline=5).result(10)
        assert result.verdict == fc.Verdict.UP_PORT_CLOSED


def test_other_threads_run_while_a_call_blocks():
    beats = []
    end = threading.Event()

    def beat():
        while not end.wait(0.002):
            beats.append(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        other = threading.Thread(target=beat)
        other.start()
        before = len(beats)
        fc.probe_once("127.0.0.1", silent.getsockname()[1], mechanism=fc.Mechanism.UDP, deadline=0.3, hedge=())
        during = len(beats) - before
        end.set()
        other.join()
    assert during >= 5, "the GIL was held"
