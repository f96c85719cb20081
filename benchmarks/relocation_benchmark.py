"""What users see when a host dies: an open loop of 500 requests/s, the container's host cut off by packet DROP half way; and
what one request waits that finds the host gone, from its first probe to the grant of the next host."""
import collections
import re
import statistics
import time

from cloud import Cloud, wait_until
from load import OpenLoop, when_half_way
from row import Row

RUNS = 5
RATE = 500
SECONDS = 4
DEADLINE_MS = 10.0
RELOCATIONS = 20  # each way
BATCHES = 4

# In ms: the slowest request, the container's start on the new host, and what the scheduler added to the one that found
# the host silent.
Run = collections.namedtuple("Run", "worst start own failed")


def start_of(cloud, host):
    """As the new host's dispatcher logged it: from the spawn to the first answer."""
    return starts_of(cloud, host)[-1]


def starts_of(cloud, host):
    ready = re.findall(r"one ready: .*, ([\d.]+) ms", cloud.read(f"{host}.err") + cloud.read(f"{host}.out"))
    assert ready, f"{host} has not logged a start"
    return [float(ms) for ms in ready]


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


def relocate(cloud, starts):
    """Cuts the container's host off, sends one request, and appends the start that it waited for."""
    assert cloud.request("one.test").status == 200
    old, epoch = cloud.placement("one")
    time.sleep(0.2)  # nothing that was heard from it is fresh any more
    cloud.network.drop(old)
    assert cloud.request("one.test").status == 200
    new, after = cloud.placement("one")
    assert new != old and after == epoch + 1, (old, epoch, new, after)
    starts.append(starts_of(cloud, new)[-1])
    cloud.network.heal(old)
    # It is a candidate again, and what was moved away has ended there.
    wait_until(lambda: cloud.metric("fastcontainer_hosts_down") == 0, f"{old} is back")
    wait_until(lambda: cloud.container_count() == 1, "one copy is left")


def some_relocations(prepare):
    """(total, start) of each, in ms: the time from the request's first probe to its grant, and the container's start in it."""
    with Cloud(proxy={"prepare": prepare}) as cloud:
        cloud.site("one")
        starts = []
        for _ in range(RELOCATIONS // BATCHES):
            relocate(cloud, starts)
        cloud.proxy.terminate()
        cloud.proxy.wait()
        moved = [entry for entry in cloud.request_log() if entry["reason"] == "relocated"]
        assert len(moved) == len(starts), (len(moved), len(starts))
        waited = [sum(entry[f"{phase}_us"] for phase in ("probe", "swap", "start", "queue")) / 1e3 for entry in moved]
        return list(zip(waited, starts))


def one_request_rows():
    with_prepare, without = [], []
    for _ in range(BATCHES):  # interleaved, so that both see the same machine
        with_prepare += some_relocations(True)
        without += some_relocations(False)
    plain = median(total for total, _ in without)
    yield Row("relocation", "one_request_without_prepare", plain, "ms",
              DEADLINE_MS + median(start for _, start in without), "deadline + start")
    yield Row("relocation", "one_request", median(total for total, _ in with_prepare), "ms", plain, "without PREPARE")
    yield Row("relocation", "one_request_beyond_the_longer_of_the_two",
              median(total - max(DEADLINE_MS, start) for total, start in with_prepare), "ms")


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
    yield from one_request_rows()
