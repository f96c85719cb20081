"""Many clients, slow ones, and some that send rubbish: who behaves is served, and afterwards nothing is left."""
import contextlib
import os
import resource
import socket
import threading
import time

from alone import Alone, read_until
from cloud import wait_until
from messages import GET, OK, answer_with, read_answer

IDLE = 10_000
SLOW = 1_000
SECONDS = float(os.environ.get("FASTCONTAINER_RUBBISH_SECONDS", "3"))


def raise_file_limit():
    """The hard limit of open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def nothing_left(alone):
    """All gauges are zero again, and as many descriptors are open as at the beginning."""
    names = ("client_connections", "requests_in_flight", "tunnels", "upstream_connections", "upstream_idle")

    def zero():
        values = alone.metrics()
        return all(values["fc_proxy_" + name] == 0 for name in names)
    wait_until(zero, "nothing is left: " + ", ".join(names), 60)
    wait_until(lambda: alone.open_files() <= alone.files_at_start, "the descriptors are closed", 60)


def test_crowd_of_idle_clients_makes_room():
    with Alone(answer_with(OK % b""), limits={"connections": 4}) as alone, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(alone.connect()) for _ in range(4)]
        for sock in idle:
            sock.sendall(GET)
            read_answer(sock)
        more = [stack.enter_context(alone.connect()) for _ in range(2)]
        for sock in more:
            sock.sendall(GET)
            assert read_answer(sock)[1] == b"ok"
        assert idle[0].recv(1) == b"" and idle[1].recv(1) == b"", "who was idle longest made room"
        for sock in idle[2:]:
            sock.sendall(GET)
            assert read_answer(sock)[1] == b"ok"


def test_crowd_above_the_limit_waits():
    go_on = threading.Event()

    def slow(sock):
        read_until(sock, b"\r\n\r\n")
        go_on.wait(60)
        sock.sendall(OK % b"Connection: close\r\n")

    with Alone(slow, limits={"connections": 2}) as alone, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(alone.connect()) for _ in range(6)]
        for sock in clients:
            sock.sendall(GET)
        wait_until(lambda: alone.metric("requests_in_flight") == 2, "two are served")
        assert alone.metric("client_connections") == 2 and alone.metric("upstream_connections") == 2
        go_on.set()
        for sock in clients:
            assert read_answer(sock)[1] == b"ok"
