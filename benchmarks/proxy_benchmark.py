"""fc-proxy beside itself without the library, and beside nginx: one worker each, pooled, the same server, interleaved."""
import os
import re
import statistics
import subprocess
import tempfile

import proxy_lab
from row import Row

PAIRS = 16
NGINX_EACH = 2  # pairs
SECONDS = 3
CONNECTIONS = 64


def cpu_ns(pid):
    """What the scheduler has counted for all threads; utime and stime would be in ticks of 10 ms."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0])
    return total


def measure(port, pid):
    """(requests/s, ns of CPU of the proxy for each request)"""
    before = cpu_ns(pid)
    out = subprocess.run(["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "-H", f"Host: {proxy_lab.HOST}",
                          f"http://127.0.0.1:{port}/"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    return requests / SECONDS, (cpu_ns(pid) - before) / requests


def rows():
    cpu_ratios, rates, cpu = [], {"nginx": [], "library": []}, []
    with tempfile.TemporaryDirectory(prefix="fc-bench-") as folder:
        bench = proxy_lab.Bench(folder)
        try:
            proxies = proxy_lab.start_all(bench, ("nginx", "fixed", "library"))
            for target in proxies.values():
                measure(*target)
            for i in range(PAIRS):
                # Neighbours in time are compared, each as often the first: the machine's mood changes slowly.
                order = ["fixed", "library"] if i % 2 else ["library", "fixed"]
                found = {name: measure(*proxies[name]) for name in order}
                cpu_ratios.append(found["library"][1] / found["fixed"][1])
                cpu.append(found["fixed"][1])
                if i % NGINX_EACH == 0:
                    rates["nginx"].append(measure(*proxies["nginx"])[0])
                    rates["library"].append(found["library"][0])
        finally:
            proxy_lab.stop(bench)
    base = statistics.median(cpu) / 1e3
    yield Row("proxy", "cpu_per_request", base * statistics.median(cpu_ratios), "us", base, "fixed upstream, without the library")
    yield Row("proxy", "requests", statistics.median(rates["library"]), "/s", statistics.median(rates["nginx"]), "nginx")
