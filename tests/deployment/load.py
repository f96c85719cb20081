"""Load on the proxy of a cloud: ab and wrk (closed loops), openloop (a schedule). All run in the proxy's namespace."""
import json
import os
import re
import subprocess

import cloud as cloud_module

URL = f"http://127.0.0.1:{cloud_module.PROXY_PORT}"
# ab's requests; the paper's own run is always 100,000.
REQUESTS = int(os.environ.get("FASTCONTAINER_REQUESTS", "30000"))


class Load:
    """A generator that runs; `result()` waits for it."""

    def __init__(self, cloud, command):
        self.process = subprocess.Popen([*cloud.network.proxy.enter(), *command], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        cloud.children.append(self.process)
        self.command = command

    def running(self):
        return self.process.poll() is None

    def output(self, timeout=180):
        out, err = self.process.communicate(timeout=timeout)
        return out, err


class Ab(Load):
    def __init__(self, cloud, site, requests=REQUESTS, concurrency=10, path="/", keep_alive=False):
        self.requests = requests
        super().__init__(cloud, ["ab", "-q", "-s", "60", "-c", str(concurrency), "-n", str(requests),
                                 *(["-k"] if keep_alive else []), "-H", f"Host: {site}.test", URL + path])

    def check(self):
        """Every request was answered with 2xx and the whole body."""
        out, err = self.output()
        assert self.process.returncode == 0, f"ab: {err}{out}"
        complete = int(re.search(r"Complete requests:\s+(\d+)", out).group(1))
        failed = int(re.search(r"Failed requests:\s+(\d+)", out).group(1))
        assert complete == self.requests and failed == 0, out
        assert "Non-2xx" not in out, out


class Wrk(Load):
    def __init__(self, cloud, site, seconds=6, connections=10):
        super().__init__(cloud, ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s",
                                 "-H", f"Host: {site}.test", URL + "/"])

    def check(self):
        out, err = self.output()
        assert self.process.returncode == 0, f"wrk: {err}{out}"
        assert int(re.search(r"(\d+) requests in", out).group(1)) > 0, out
        assert "Socket errors" not in out and "Non-2xx" not in out, out


class OpenLoop(Load):
    def __init__(self, cloud, site, rate=500, seconds=4, path="/", keep_alive=False, log=None):
        super().__init__(cloud, [f"{cloud_module.BIN}/openloop", "--rate", str(rate), "--seconds", str(seconds),
                                 "--host", f"{site}.test", *(["--keep-alive"] if keep_alive else []),
                                 *(["--log", log] if log else []), URL + path])

    @staticmethod
    def summary(out):
        return json.loads(out.splitlines()[-1]) if out else {}

    def check(self):
        out, err = self.output()
        summary = self.summary(out)
        assert self.process.returncode == 0, f"openloop: {err}{summary}"
        return summary


def when_half_way(cloud, load, requests):
    """Waits until the proxy has answered half of `requests` more than it had."""
    begin = cloud.metric(REQUEST_COUNT)
    cloud_module.wait_until(
        lambda: not load.running() or cloud.metric(REQUEST_COUNT) - begin >= requests / 2, "half of the load", 120)
    assert load.running(), "the load ended before its half: " + "\n".join(load.output())


REQUEST_COUNT = "fc_proxy_requests_total"
