"""What a ledger says: failures, the longest pause, the recovery, and a series of seconds."""
import dataclasses
import gzip
import shutil

import numpy

NUMBER, CLIENT, DUE, SENT, END, STATUS = range(6)  # columns; times in µs from the load's begin
BIN_US = 100_000
CALM_BINS = 5


@dataclasses.dataclass
class Seen:
    requests: int
    failed: int
    broken: int          # WebSockets that broke and came back
    pause_ms: float
    endless: bool        # somebody was still waiting at the end
    recovery_ms: float   # infinite: never
    seconds: list        # (second, ok, failed, slowest ms)


def read(path):
    rows = numpy.loadtxt(path, delimiter=",", skiprows=1, usecols=range(6), dtype=numpy.int64, ndmin=2)
    return rows[numpy.lexsort((rows[:, DUE], rows[:, CLIENT]))]


def pack(path):
    with open(path, "rb") as source, gzip.open(path + ".gz", "wb", compresslevel=1) as target:
        shutil.copyfileobj(source, target)


def judge(rows, outcomes, load, fault_us, end_us):
    """`rows` as of read(); `fault_us` when the host died, `end_us` when the load ended."""
    good = (rows[:, STATUS] >= 100) & (rows[:, STATUS] < 400)
    broken = sum(count for outcome, count in outcomes.items() if outcome.startswith("broken"))
    websocket = load.site == "websocket"
    served = good & (rows[:, STATUS] != 101)
    pause, endless = longest_pause(rows, served, load.closed, fault_us, end_us)
    return Seen(requests=len(rows), failed=int((~good).sum()) - (broken if websocket else 0),
                broken=broken if websocket else 0, pause_ms=pause / 1e3, endless=endless,
                recovery_ms=recovery(rows, served, fault_us, end_us) / 1e3, seconds=by_second(rows, good))


def longest_pause(rows, served, closed, fault_us, end_us):
    """Of a closed loop: from the due time of a client's request to the client's next success. Of an open loop, in which each
    request is somebody else: the longest wait, or the longest time without a success for anybody."""
    if not closed:
        ends = numpy.sort(rows[served, END])
        ends = numpy.concatenate((ends[ends >= fault_us - BIN_US], [end_us]))
        gap = int(numpy.diff(ends).max(initial=0)) if len(ends) > 1 else end_us - fault_us
        waits = (rows[:, END] - rows[:, DUE])[rows[:, END] >= fault_us]
        still = bool((~served & (rows[:, END] >= end_us)).any())
        return max(gap, int(waits.max(initial=0))), still
    before = numpy.concatenate(([0], numpy.cumsum(served)[:-1]))  # a group ends with a success
    group = before * (rows[:, CLIENT].max() + 1) + rows[:, CLIENT]
    starts = numpy.flatnonzero(numpy.concatenate(([True], group[1:] != group[:-1])))
    last = numpy.concatenate((starts[1:], [len(rows)])) - 1
    pauses = rows[last, END] - rows[starts, DUE]
    relevant = rows[last, END] >= fault_us
    if not relevant.any():
        return 0, False
    worst = numpy.flatnonzero(relevant)[pauses[relevant].argmax()]
    # A client whose last request never succeeded.
    return int(pauses[worst]), not served[last[worst]]


def recovery(rows, served, fault_us, end_us):
    """From the fault until a quarter of the usual rate is kept for half a second, and nothing fails any more."""
    edges = numpy.arange(0, end_us + 1, BIN_US)
    rate, _ = numpy.histogram(rows[served, END], bins=edges)
    usual = numpy.median(rate[5:max(6, fault_us // BIN_US)])
    first = fault_us // BIN_US
    calm = rate >= usual / 4
    back = next((i for i in range(first, len(calm) - CALM_BINS) if calm[i:i + CALM_BINS].all()), None)
    if back is None:
        return numpy.inf
    failures = rows[(rows[:, STATUS] == 0) | (rows[:, STATUS] >= 400)]
    last_failure = int(failures[:, END].max(initial=0))
    if last_failure >= end_us - BIN_US * CALM_BINS:
        return numpy.inf
    return max(0, back * BIN_US - fault_us, last_failure - fault_us)


def by_second(rows, good):
    second = rows[:, END] // 1_000_000
    latency = rows[:, END] - rows[:, DUE]
    series = []
    for i in range(int(second.max(initial=0)) + 1):
        mine = second == i
        series.append((i, int((mine & good).sum()), int((mine & ~good).sum()), float(latency[mine].max(initial=0)) / 1e3))
    return series
