"""What users see when a host dies: an open loop of 500 requests/s, the container's host cut off by packet DROP half way."""
import collections
import re
import statistics

from cloud import Cloud
from load import OpenLoop, when_half_way
from row import Row

RUNS = 5
RATE = 500
SECONDS = 4
DEADLINE_MS = 10.0

# In ms: the slowest request, the container's start on the new host, and what the scheduler added to the one that found
# the host silent.
Run = collections.namedtuple("Run", "worst start own failed")


def start_of(cloud, host):
    """As the new host's dispatcher logged it: from the spawn to the first answer."""
    ready = re.findall(r"one ready: .*, (\d+) ms", cloud.read(f"{host}.err") + cloud.read(f"{host}.out"))
    assert ready, f"{host} has not logged a start"
    return float(ready[-1])


def one_run(prepare):
    with Cloud(proxy={"prepare": prepare}) as cloud:
        cloud.site("one")
        assert cloud.request("one.test").status == 200
        load = OpenLoop(cloud, "one", rate=RATE, seconds=SECONDS)
        when_half_way(cloud, load, RATE * SECONDS)
        cloud.network.drop(cloud.placement("one")[0])
        out, _ = load.output()
        summary = load.summary(out)
        start = start_of(cloud, cloud.placement("one")[0])
        cloud.proxy.terminate()
        cloud.proxy.wait()
        moved = [entry for entry in cloud.request_log() if entry["reason"] == "relocated" and entry["attempts"] == 1]
        assert moved, "nothing was relocated"
        # The request that found the host silent: it waited through the whole relocation.
        first = max(moved, key=lambda entry: entry["probe_us"])
        own = (first["probe_us"] + first["swap_us"] + first["queue_us"]) / 1e3 - DEADLINE_MS
        return Run(summary["max_ms"], start, own, summary["failures"])


def median(values):
    return statistics.median(list(values))


def rows():
    with_prepare, without = [], []
    for _ in range(RUNS):  # interleaved, so that both see the same machine
        with_prepare.append(one_run(True))
        without.append(one_run(False))
    failed = sum(run.failed for run in with_prepare + without)
    yield Row("relocation", "failed_requests", failed, f"of {2 * RUNS * RATE * SECONDS}")
    worst = median(run.worst for run in without)
    yield Row("relocation", "worst_without_prepare", worst, "ms", DEADLINE_MS + median(run.start for run in without),
              "deadline + start")
    yield Row("relocation", "worst_beyond_deadline_and_start",
              median(run.worst - DEADLINE_MS - run.start for run in without), "ms")
    yield Row("relocation", "worst_request", median(run.worst for run in with_prepare), "ms", worst, "without PREPARE")
    yield Row("relocation", "worst_beyond_the_longer_of_the_two",
              median(run.worst - max(DEADLINE_MS, run.start) for run in with_prepare), "ms")
    yield Row("relocation", "own_share", median(run.own for run in with_prepare + without), "ms")
