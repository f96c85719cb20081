"""Policies and hooks in Python: what they see, what they may answer, and what becomes of mistakes."""
import gc
import logging
import time

import fastcontainer as fc
import numpy as np
import pytest
from cloud import Cloud, raises, stat
from fastcontainer.policy import policy

CALLS = "fastcontainer_python_policy_calls_total"
LAST = ("id_hash", "flags", "free_cpu", "free_memory", "running", "starting", "in_flight", "response_ms", "error_rate",
        "rtt_ms", "report_age_s")


def placed_on(answer, hosts=3, **options):
    """Where "one" goes by a policy that gives this answer, and how often the policy was asked with which outcome."""
    chooses = answer if callable(answer) else lambda _request, _hosts: answer
    if not hasattr(chooses, "budget"):
        chooses = policy(budget=10)(chooses)  # however busy the machine is
    with Cloud(hosts=hosts, policy=chooses, **options) as cloud:
        with cloud.engine.route("one.test") as ticket:
            counts = {outcome: stat(cloud.engine, CALLS, f'"{outcome}"')
                      for outcome in ("used", "declined", "exception", "wrong", "overrun")}
            return ticket.host, {outcome: count for outcome, count in counts.items() if count}


@pytest.mark.parametrize("make", [
    lambda hosts, row: row, lambda hosts, row: hosts.id(row), lambda hosts, row: [row], lambda hosts, row: np.int64(row),
    lambda hosts, row: np.array([row]), lambda hosts, row: [hosts.id(row)],
    lambda hosts, row: [float(i == row) for i in range(len(hosts))],
    lambda hosts, row: np.where(np.arange(len(hosts)) == row, 1.0, -np.inf)])
def test_a_row_a_host_several_or_scores_choose(make):
    for wanted in ("h1", "h2", "h3"):
        def choose(_request, hosts):
            return make(hosts, hosts.row(wanted))
        assert placed_on(choose) == (wanted, {"used": 1})


def test_the_columns_are_arrays_of_the_librarys_own_memory():
    seen = []

    def look(request, hosts):
        assert request.container == "one" and request.replica == 0 and request.avoid_host == ""
        assert len(hosts) == 2 and sorted(hosts.ids) == ["h1", "h2"] and hosts.zones == ["", ""]
        for name in LAST:
            column = getattr(hosts, name)
            assert column.shape == (2,) and not column.flags.writeable and not column.flags.owndata
            with raises(ValueError):
                column[0] = 1
            with raises(ValueError):
                column.setflags(write=True)
        assert hosts.free_cpu.dtype == np.float32 and hosts.free_memory.dtype == np.float64
        assert (hosts.flags & fc.HostFlag.ADMIN_UP != 0).all()
        assert hosts.free_cpu.__array_interface__["data"] == hosts.free_cpu.__array_interface__["data"]
        seen.append(float(hosts.free_cpu.max() + hosts.free_cpu[:1].sum()) > 0)
        return None
    assert placed_on(look, hosts=2)[1] == {"declined": 1} and seen == [True]


def test_to_decline_is_no_fault_and_everything_else_counts_as_the_librarys_fallback(caplog):
    caplog.set_level(logging.WARNING)
    for answer, fallbacks in ((None, 0), (99, 1)):
        with Cloud(policy=lambda _request, _hosts, answer=answer: answer) as cloud:
            with cloud.engine.route("one.test"):
                assert stat(cloud.engine, "fastcontainer_policy_fallbacks_total") == fallbacks
        assert bool(caplog.records) == bool(fallbacks)


def test_what_is_kept_beyond_the_call_raises():
    kept = {}

    def keep(_request, hosts):
        kept.update(table=hosts, column=hosts.free_cpu, part=hosts.running[1:], copy=hosts.free_cpu.copy(),
                    sum=hosts.free_cpu + 1)
        return 0
    placed_on(keep)
    gc.collect()
    for use in (lambda: len(kept["table"]), lambda: kept["table"].flags, lambda: kept["table"].ids,
                lambda: kept["column"][0], lambda: kept["column"] + 1, lambda: np.sum(kept["column"]),
                lambda: list(kept["column"]), lambda: len(kept["part"]), lambda: kept["part"][0]):
        with raises(RuntimeError):
            use()
    assert kept["column"].size == kept["part"].size == 0, "its memory is not theirs any more"
    assert kept["copy"].shape == kept["sum"].shape == (3,) and kept["sum"][0] == kept["copy"][0] + 1


def test_what_numpy_made_of_a_column_unseen_keeps_the_values_of_the_call():
    kept = []

    def keep(_request, hosts):
        kept.append((np.asarray(hosts.in_flight), np.asarray(hosts.id_hash)[1:].view("u4"), hosts.id_hash.copy()))
        return None
    with Cloud(hosts=3, policy=policy(budget=10)(keep)) as cloud:
        with cloud.engine.route("one.test") as ticket:
            end = time.monotonic() + 20
            while sum(kept[-1][0].tolist()) == 0:  # a table is used for a while
                assert time.monotonic() < end
                cloud.engine.place("two").result(10)
            assert sum(kept[0][0].tolist()) == 0, "the first one is still as it was"
            ticket.end()
    for in_flight, hidden, copy in kept:
        assert not in_flight.flags.owndata and (hidden == copy[1:].view("u4")).all()


@pytest.mark.parametrize("answer", [7, -1, "nobody", [0, 0], [], [float("nan")] * 3, [0.5], [[0]], object(), True, 1.5, {"a": 1}, [0, "h1"]])
def test_a_wrong_answer_is_counted_logged_and_the_built_in_policy_decides(answer, caplog):
    host, counts = placed_on(answer)
    assert host in ("h1", "h2", "h3") and counts == {"wrong": 1}
    assert any("is not used (wrong)" in record.getMessage() for record in caplog.records)


def test_an_exception_is_logged_with_its_traceback_and_the_request_succeeds(caplog):
    def fail(_request, _hosts):
        raise ZeroDivisionError("in the policy")
    assert placed_on(fail)[1] == {"exception": 1}
    assert "in the policy" in caplog.text and "Traceback" in caplog.text


def test_an_overrun_of_the_budget_is_not_used(caplog):
    @policy(budget=0.001)
    def slow(_request, _hosts):
        end = time.monotonic() + 0.005
        while time.monotonic() < end:
            pass
        return 0
    assert placed_on(slow)[1] == {"overrun": 1}
    assert "(overrun)" in caplog.text


def test_a_class_is_a_policy_too_and_sees_the_host_that_is_left():
    class Last:
        budget = 1.0

        def __init__(self):
            self.avoided = []

        def place(self, request, hosts):
            self.avoided.append(request.avoid_host)
            return np.arange(len(hosts), dtype=float)
    last = Last()
    with Cloud(hosts=3, policy=last) as cloud:
        with cloud.engine.route("one.test") as ticket:
            first = ticket.host
        placed = cloud.engine.place("one").result(10)
        assert placed.from_host == first and placed.host != first and last.avoided == ["", first]


def test_a_policy_may_not_call_the_engine(caplog):
    engines = []

    def misbehave(_request, _hosts):
        engines[0].stats()
    with Cloud(hosts=1, policy=misbehave) as cloud:
        engines.append(cloud.engine)
        with cloud.engine.route("one.test"):
            pass
        assert stat(cloud.engine, CALLS, '"exception"') == 1
    assert "may not call the engine" in caplog.text


def test_hooks_are_told_and_may_say_no():
    told = []

    def hook(event):
        told.append((event.point, event.container, event.host))
        return not (event.point == fc.HookPoint.BEFORE_PLACE and event.host == "h1")
    with Cloud(hosts=2, hook=hook, policy=lambda _request, hosts: [hosts.row("h1"), hosts.row("h2")]) as cloud:
        with cloud.engine.route("one.test") as ticket:
            assert ticket.host == "h2"
        assert cloud.engine.run_until(lambda: any(point == fc.HookPoint.READY for point, *_ in told), 10)
    points = [point for point, *_ in told]
    assert (fc.HookPoint.BEFORE_PLACE, "one", "h1") in told and (fc.HookPoint.AFTER_PLACE, "one", "h2") in told
    assert points.index(fc.HookPoint.BEFORE_START) < points.index(fc.HookPoint.READY)


def test_a_hook_that_fails_is_logged_and_stops_nothing_but_a_fence(caplog):
    def hook(event):
        raise RuntimeError(f"no storage for {event.point.name}")
    with Cloud(hook=hook) as cloud:
        with cloud.engine.route("one.test") as ticket:
            assert ticket.host == "h1"
    assert "no storage for BEFORE_PLACE" in caplog.text
    from fastcontainer.hooks import Runner
    assert Runner(hook).event(fc.HookPoint.FENCE, "one", "h1", "", "", 1, 0) is False


def test_the_log_goes_to_the_logger_of_each_component(caplog):
    with caplog.at_level(logging.INFO, "fastcontainer"):
        placed_on(0)
    assert any(record.name == "fastcontainer.router" and "placed on" in record.getMessage() for record in caplog.records)


def test_equal_scores_come_in_an_order_of_the_containers_own():
    orders = []

    def equal(_request, hosts):
        return np.where(np.arange(len(hosts)) == 0, -np.inf, 1.0)
    with Cloud(hosts=6, policy=equal) as cloud:
        for i in range(12):
            spec = '{"v": 1, "command": ["x"]}'
            cloud.engine.cmdb.put(fc.record_key(fc.RecordKind.SPEC, f"c{i}"), spec).result(10)
            orders.append(cloud.engine.place(f"c{i}").result(10).host)
    assert "h1" not in orders and len(set(orders)) >= 3, orders


def test_what_fits_is_what_the_built_in_policy_would_take():
    seen = []

    def look(request, hosts):
        seen.append([host for host, fits in zip(hosts.ids, hosts.fits(request)) if fits])
        return None
    with Cloud(hosts=3, policy=look) as cloud:
        host = cloud.engine.place("one").result(10).host
        cloud.engine.place("one").result(10)
    assert seen[0] == ["h1", "h2", "h3"] and seen[1] == sorted({"h1", "h2", "h3"} - {host})
