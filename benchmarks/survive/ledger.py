"""What a ledger says: failures, the longest pause, the recovery, and a series of seconds."""
import dataclasses
import gzip
import shutil

import numpy

NUMBER, CLIENT, DUE, SENT, END, STATUS, BYTES, SILENCE = range(8)  # columns; times in µs from the load's begin
LEAST_SLOW_US = 50_000  # what is quicker is not called slow


@dataclasses.dataclass
class Seen:
    requests: int
    failed: int
    broken: int          # WebSockets that broke and came back
    pause_ms: float
    endless: bool        # somebody was still waiting at the end
    recovery_ms: float   # infinite: never
    usual_ms: float      # 99 % waited no longer in the second before the fault
    seconds: list        # (second, ok, failed, slowest ms)


def read(path):
    rows = numpy.loadtxt(path, delimiter=",", skiprows=1, usecols=range(8), dtype=numpy.int64, ndmin=2)
    return rows[numpy.lexsort((rows[:, DUE], rows[:, CLIENT]))]


def pack(path):
    with open(path, "rb") as source, gzip.open(path + ".gz", "wb", compresslevel=1) as target:
        shutil.copyfileobj(source, target)


def judge(rows, outcomes, load, fault_us, end_us):
    """`rows` as of read(); `fault_us` when the host died, `end_us` when the load ended."""
    good = (rows[:, STATUS] >= 100) & (rows[:, STATUS] < 400)
    # Silence of so long that its user has given up is a failure all the same.
    broken = sum(count for outcome, count in outcomes.items() if outcome.startswith("broken") and "timeout" not in outcome)
    websocket = load.site == "websocket"
    served = good & (rows[:, STATUS] != 101)
    # A download is long without a pause: what counts is for how long nothing came.
    latency = rows[:, SILENCE] if load.expect == "large" else rows[:, END] - rows[:, DUE]
    usual = latency[served & (rows[:, END] < fault_us) & (rows[:, END] >= fault_us - 1_000_000)]
    pause, endless = longest_pause(rows, served, latency, load.closed, fault_us, end_us)
    return Seen(requests=len(rows), failed=int((~good).sum()) - (broken if websocket else 0),
                broken=broken if websocket else 0, pause_ms=pause / 1e3, endless=endless,
                recovery_ms=recovery(rows, served, latency, fault_us, end_us) / 1e3,
                usual_ms=float(numpy.percentile(usual, 99)) / 1e3 if len(usual) else 0.0, seconds=by_second(rows, good))


def longest_pause(rows, served, latency, closed, fault_us, end_us):
    """From the due time of a request that gets no answer, or a late one, to the next success: of a closed loop its client's own;
    of an open loop, in which each request is somebody else, anybody's, less the time from one request to the next, in which
    nobody wants one."""
    if closed:
        client, between = rows[:, CLIENT], 0
    else:
        order = numpy.argsort(rows[:, DUE], kind="stable")
        rows, served, latency = rows[order], served[order], latency[order]
        client, between = numpy.zeros(len(rows), dtype=numpy.int64), int(numpy.median(numpy.diff(rows[:, DUE]))) if len(rows) > 1 else 0
    before = numpy.concatenate(([0], numpy.cumsum(served)[:-1]))  # a group ends with a success
    group = before * (client.max() + 1) + client
    starts = numpy.flatnonzero(numpy.concatenate(([True], group[1:] != group[:-1])))
    last = numpy.concatenate((starts[1:], [len(rows)])) - 1
    pauses = rows[last, END] - rows[starts, DUE] - between
    alone = (starts == last) & served[last]
    pauses[alone] = latency[last[alone]]
    relevant = rows[last, END] >= fault_us
    if not relevant.any():
        return 0, False
    worst = numpy.flatnonzero(relevant)[pauses[relevant].argmax()]
    longest, endless = int(pauses[worst]), not served[last[worst]]
    if closed:
        return longest, endless  # whose last request never succeeded
    waits = latency[rows[:, END] >= fault_us]
    return max(longest, int(waits.max(initial=0))), endless or bool((~served & (rows[:, END] >= end_us)).any())


def recovery(rows, served, latency, fault_us, end_us):
    """From the fault until the last request that failed, or waited twice as long as any did before, has ended."""
    before = rows[:, END] < fault_us
    usual = max(LEAST_SLOW_US, 2 * int(latency[before].max(initial=0)))
    good = served | (rows[:, STATUS] == 101)
    last = int(rows[(~good | (latency > usual)) & ~before, END].max(initial=fault_us))
    return numpy.inf if last >= end_us else last - fault_us


def by_second(rows, good):
    second = rows[:, END] // 1_000_000
    latency = rows[:, END] - rows[:, DUE]
    series = []
    for i in range(int(second.max(initial=0)) + 1):
        mine = second == i
        series.append((i, int((mine & good).sum()), int((mine & ~good).sum()), float(latency[mine].max(initial=0)) / 1e3))
    return series
