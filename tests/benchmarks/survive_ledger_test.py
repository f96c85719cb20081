"""What benchmarks/survive reads from a ledger."""
import math
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../benchmarks/survive"))
import ledger
from loads import LOADS

FAULT, END = 2_000_000, 10_000_000  # µs
CLOSED, OPEN = LOADS["closed-64"], LOADS["open-500"]


def judge(tmp_path, load, rows, outcomes=None):
    """`rows`: (client, due ms, end ms, status[, silence ms])."""
    path = tmp_path / "ledger.csv"
    lines = ["number,client,due_us,sent_us,end_us,status,bytes,silence_us,reused,repeated,error"]
    for number, (client, due, end, status, *silence) in enumerate(rows):
        lines.append(f"{number},{client},{due * 1000},{due * 1000},{end * 1000},{status},40,{(silence or [0])[0] * 1000},0,0,")
    path.write_text("\n".join(lines) + "\n")
    return ledger.judge(ledger.read(path), outcomes or {}, load, FAULT, END)


def steady(client, start, end, step=10):
    return [(client, at, at + step, 200) for at in range(start, end, step)]


def test_a_calm_run_has_neither_failures_nor_a_pause(tmp_path):
    seen = judge(tmp_path, CLOSED, steady(0, 0, 10_000) + steady(1, 0, 10_000))
    assert (seen.failed, seen.pause_ms, seen.recovery_ms, seen.endless) == (0, 10, 0, False)
    assert seen.usual_ms == 10
    assert seen.seconds[5] == (5, 200, 0, 10.0)


def test_a_pause_is_the_slowest_answer_after_the_fault(tmp_path):
    rows = [(0, 0, 900, 200), (0, 900, 1900, 200), (0, 1900, 2300, 200), *steady(0, 2300, 10_000)]
    assert judge(tmp_path, CLOSED, rows).pause_ms == 400, "that of before the fault does not count"


def test_failures_prolong_the_pause_of_their_client(tmp_path):
    rows = [*steady(0, 0, 2000), (0, 2000, 2500, 502), (0, 2600, 3000, 0), (0, 3100, 3200, 200), *steady(0, 3200, 10_000),
            *steady(1, 0, 10_000)]
    seen = judge(tmp_path, CLOSED, rows)
    assert (seen.failed, seen.pause_ms, seen.endless) == (2, 1200, False)
    assert seen.recovery_ms == 1200, "until the last that failed or was slow has ended"


def test_a_client_that_never_gets_an_answer_again_pauses_without_end(tmp_path):
    rows = [*steady(0, 0, 2000), (0, 2000, 12_000, 0), *steady(1, 0, 10_000)]
    seen = judge(tmp_path, CLOSED, rows)
    assert (seen.failed, seen.pause_ms, seen.endless) == (1, 10_000, True)
    assert math.isinf(seen.recovery_ms)


def test_in_an_open_loop_a_request_that_is_lost_is_a_pause_until_the_next_has_its_answer(tmp_path):
    rows = [(i, at, at + 50, 200) for i, at in enumerate(range(0, 10_000, 500))]
    rows[4], rows[5] = (4, 2000, 2020, 502), (5, 2500, 2640, 200)
    assert judge(tmp_path, OPEN, rows).pause_ms == 140
    rows[5] = (5, 2500, 2510, 502)
    assert judge(tmp_path, OPEN, rows).pause_ms == 550
    rows[5] = (5, 2500, 2550, 200)
    rows[4] = (4, 2000, 2400, 502)
    assert judge(tmp_path, OPEN, rows).pause_ms == 400  # it waited so long for nothing


def test_in_an_open_loop_nobody_s_answer_is_a_pause_too(tmp_path):
    rows = [(i, at, at + 1, 200) for i, at in enumerate(range(0, 2000, 10))]
    rows += [(900 + i, at, at + 1, 502) for i, at in enumerate(range(2000, 5000, 10))]
    rows += [(2000 + i, at, at + 1, 200) for i, at in enumerate(range(5000, 10_000, 10))]
    seen = judge(tmp_path, OPEN, rows)
    assert seen.failed == 300 and not seen.endless
    assert seen.pause_ms == 3001 - 10  # and not the time in which nobody wanted an answer


def test_a_long_download_is_no_pause_but_its_silence_is(tmp_path):
    rows = [(0, 0, 1500, 200, 2), (0, 1500, 3500, 200, 90), (0, 3500, 5000, 200, 3), (0, 5000, 9900, 200, 4)]
    assert judge(tmp_path, LOADS["download"], rows).pause_ms == 90


def test_a_websocket_that_breaks_has_not_failed_but_pauses_until_its_next_echo(tmp_path):
    rows = [(0, 0, 1, 101), *steady(0, 1, 2001), (0, 2001, 2050, 0), (0, 2050, 2060, 101), (0, 2070, 2080, 200),
            *steady(0, 2080, 9900)]
    seen = judge(tmp_path, LOADS["websocket"], rows, {"broken: closed": 1})
    assert (seen.failed, seen.broken, seen.pause_ms) == (0, 1, 79)


def test_a_websocket_that_is_silent_for_too_long_has_failed(tmp_path):
    rows = [(0, 0, 1, 101), *steady(0, 1, 2001), (0, 2001, 12_001, 0)]
    seen = judge(tmp_path, LOADS["websocket"], rows, {"broken: timeout": 1})
    assert (seen.failed, seen.broken, seen.endless) == (1, 0, True)
