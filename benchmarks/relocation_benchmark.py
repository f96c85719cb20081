"""What users see when a host dies: an open loop of 500 requests/s, the container's host cut off by packet DROP half way."""
import statistics

from cloud import Cloud
from load import OpenLoop, when_half_way
from row import Row

RUNS = 5
RATE = 500
SECONDS = 4
DEADLINE_MS = 10.0


def one_run():
    """(worst request, start, the scheduler's own share), in ms, and the number of failed requests."""
    with Cloud() as cloud:
        cloud.site("one")
        assert cloud.request("one.test").status == 200
        load = OpenLoop(cloud, "one", rate=RATE, seconds=SECONDS)
        when_half_way(cloud, load, RATE * SECONDS)
        host, _ = cloud.placement("one")
        cloud.network.drop(host)
        out, _ = load.output()
        summary = load.summary(out)
        cloud.proxy.terminate()
        cloud.proxy.wait()
        moved = [entry for entry in cloud.request_log() if entry["reason"] == "relocated" and entry["attempts"] == 1]
        assert moved, "nothing was relocated"
        # The request that found the host silent: it waited through the whole relocation.
        first = max(moved, key=lambda entry: entry["probe_us"])
        own = (first["probe_us"] + first["swap_us"] + first["queue_us"]) / 1e3 - DEADLINE_MS
        return summary["max_ms"], first["start_us"] / 1e3, own, summary["failures"]


def rows():
    runs = [one_run() for _ in range(RUNS)]
    worst = statistics.median(run[0] for run in runs)
    start = statistics.median(run[1] for run in runs)
    share = statistics.median(run[2] for run in runs)
    yield Row("relocation", "failed_requests", sum(run[3] for run in runs), f"of {RUNS * RATE * SECONDS}")
    yield Row("relocation", "worst_request", worst, "ms", DEADLINE_MS + start, "deadline + start")
    yield Row("relocation", "worst_beyond_deadline_and_start",
              statistics.median(run[0] - DEADLINE_MS - run[1] for run in runs), "ms")
    yield Row("relocation", "own_share", share, "ms")
