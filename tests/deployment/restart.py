"""The proxy is restarted, and its workers die, under load."""
import contextlib
import os
import re
import signal

import cloud as cloud_module
from alone import read_until
from cloud import Cloud, wait_until
from load import OpenLoop, Wrk


def workers_of(master):
    with open(f"/proc/{master.pid}/task/{master.pid}/children") as children:
        return [int(pid) for pid in children.read().split()]


def take_over(cloud):
    """A new proxy from the same configuration; returns when the one before it has ended."""
    before = cloud.proxy
    cloud.start_proxy()
    wait_until(lambda: before.poll() is not None, "the old proxy has ended", 40)
    assert before.returncode == 0, before.returncode


@contextlib.contextmanager
def one_host(takeover=False, workers=1):
    """A cloud with site "a", which runs."""
    with Cloud(hosts=1, start=False) as cloud:
        cloud.proxy_options = {"workers": workers, **({"takeover": cloud.path("takeover")} if takeover else {})}
        cloud.start_dispatcher("h1")
        cloud.start_proxy()
        cloud.site("a")
        assert cloud.request("a.test").status == 200
        yield cloud


def check_takeover(workers):
    with one_host(takeover=True, workers=workers) as cloud:
        # One client after another on new connections, and clients that keep theirs without a pause.
        fresh = OpenLoop(cloud, "a", rate=300, seconds=8)
        kept = Wrk(cloud, "a", seconds=8, connections=32)
        for _ in range(3):
            take_over(cloud)
            assert fresh.running() and kept.running(), "the load ended before the last restart"
        kept.check()
        assert fresh.check()["requests"] == 2400


def test_a_new_proxy_takes_over_and_no_request_fails():
    check_takeover(workers=1)


def test_new_workers_take_over_and_no_request_fails():
    check_takeover(workers=3)


def test_a_kept_connection_is_told_of_its_end_before_it_ends():
    with one_host(takeover=True) as cloud:
        with cloud.network.proxy.connect("127.0.0.1", cloud_module.PROXY_PORT) as sock:
            def ask():
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
                head, body = read_until(sock, b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 "), head
                length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
                while len(body) < length:
                    data = sock.recv(length - len(body))
                    assert data, "the connection ended within a response"
                    body += data
                return b"connection: close" in head.lower()

            assert not ask()
            before = cloud.proxy
            cloud.spawn(cloud.network.proxy, "next", f"{cloud_module.BIN}/fc-proxy", "--config", cloud.path("proxy.json"))
            # Most of the time it is idle, and the old proxy looks for idle connections every 0.1 s.
            wait_until(ask, "the client is told")
            assert sock.recv(1) == b""
            wait_until(lambda: before.poll() is not None, "the old proxy has ended", 40)
            assert before.returncode == 0, before.returncode


def test_a_successor_that_cannot_serve_changes_nothing():
    with one_host(takeover=True) as cloud:
        before = cloud.proxy
        bad = cloud.write_config("bad.json", {**cloud.proxy_config(), "cmdb": "sqlite:/nowhere/cmdb.db"})
        failed = cloud.spawn(cloud.network.proxy, "bad", f"{cloud_module.BIN}/fc-proxy", "--config", bad)
        wait_until(lambda: failed.poll() is not None, "the successor has ended")
        assert failed.returncode == 1, failed.returncode
        assert before.poll() is None
        assert cloud.request("a.test").status == 200
        take_over(cloud)
        assert cloud.request("a.test").status == 200


def test_a_port_in_use_is_an_error_also_among_proxies():
    with Cloud(hosts=1) as cloud:
        config = cloud.write_config("second.json", {**cloud.proxy_config(), "workers": 2})
        second = cloud.spawn(cloud.network.proxy, "second", f"{cloud_module.BIN}/fc-proxy", "--config", config)
        wait_until(lambda: second.poll() is not None, "the second proxy has ended")
        assert second.returncode == 1, second.returncode
        assert "Address already in use" in cloud.read("second.err"), cloud.read("second.err")


def test_a_worker_that_dies_is_started_again_and_the_others_serve():
    with one_host(workers=2) as cloud:
        workers = workers_of(cloud.proxy)
        assert len(workers) == 2
        for port in (cloud_module.ADMIN_PORT, cloud_module.ADMIN_PORT + 1):
            assert cloud.request("x", "/healthz", port=port).status == 200
        os.kill(workers[0], signal.SIGKILL)
        # Who connects to the dead one's socket waits for the one that comes in its place.
        for _ in range(50):
            assert cloud.request("a.test").status == 200
        assert len(workers_of(cloud.proxy)) == 2 and workers[0] not in workers_of(cloud.proxy)
        cloud.proxy.terminate()
        assert cloud.proxy.wait(40) == 0
        assert not any(os.path.exists(f"/proc/{pid}") for pid in workers[1:])
