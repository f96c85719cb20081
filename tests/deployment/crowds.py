"""Many clients, slow ones, and some that send rubbish: who behaves is served, and afterwards nothing is left."""
import contextlib
import os
import random
import resource
import socket
import threading
import time

from alone import Alone, read_all, read_until
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


BIG = 4 << 20
POST = (b"POST /other HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n")
PUT = b"PUT /other HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"


def origin(sock):
    """Keeps a connection for those who behave only: what else it is sent need not be one request."""
    rest = b""
    while True:
        head, rest = read_until(sock, b"\r\n\r\n", rest)
        if head.startswith(b"GET /good "):
            sock.sendall(OK % b"")
        elif head.startswith(b"GET /big "):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG + bytes(BIG))
            return
        elif head.startswith(b"PUT /slow "):
            read_all(sock)
            return
        else:
            sock.sendall(OK % b"Connection: close\r\n")
            return


class Good:
    """Clients that behave: every request of theirs is answered, whatever the others do."""

    def __init__(self, alone, count=4):
        self.alone, self.answered, self.failed, self.over = alone, 0, [], False
        self.threads = [threading.Thread(target=self.run) for _ in range(count)]

    def run(self):
        try:
            with self.alone.connect(timeout=60) as sock:
                while not self.over:
                    sock.sendall(GET.replace(b"/", b"/good", 1))
                    head, body, _ = read_answer(sock)
                    assert head.startswith(b"HTTP/1.1 200 ") and body == b"ok", head
                    self.answered += 1
        except (OSError, EOFError, AssertionError) as error:
            self.failed.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for thread in self.threads:
            thread.join(60)
        assert not self.failed and self.answered > 0, (self.failed, self.answered)


def slow_clients(alone, count):
    """By what they do too slowly: anything at all, a head, a body, reading."""
    def begin(data, **options):
        sock = alone.connect(timeout=60, **options)
        sock.sendall(data)
        return sock
    return {"nothing": [begin(b"") for _ in range(count // 4)], "head": [begin(b"GET / HTT") for _ in range(count // 4)],
            "body": [begin(b"PUT /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx") for _ in range(count // 4)],
            "reading": [begin(GET.replace(b"/", b"/big", 1), receive_buffer=4096) for _ in range(count // 4)]}


def test_crowd_of_slow_clients_is_cut_off_and_holds_up_nobody():
    raise_file_limit()
    limits = {"header_ms": 2000, "body_ms": 2000, "send_ms": 2000}
    with Alone(origin, timeouts={**limits, "upstream_idle_ms": 1000}) as alone:
        with Good(alone), contextlib.ExitStack() as stack:
            slow = slow_clients(alone, SLOW)
            for sock in sum(slow.values(), []):
                stack.enter_context(sock)
            for sock in slow["nothing"]:
                assert read_all(sock) == b""
            for name in ("head", "body"):
                for sock in slow[name]:
                    assert read_all(sock).startswith(b"HTTP/1.1 408 "), name
            names = ("client_connections", "requests_in_flight")
            wait_until(lambda: all(alone.metric(name) <= 4 for name in names), "slow readers are cut off, too", 60)
            for sock in slow["reading"]:
                assert read_all(sock) is None, "it was told that this is not all"
        nothing_left(alone)


def test_crowd_of_idle_connections_costs_nobody_anything():
    hard = raise_file_limit()
    count = min(IDLE, (hard - 64) // 2 - 100)
    with Alone(origin, timeouts={"idle_ms": 3600000, "upstream_idle_ms": 1000}) as alone, contextlib.ExitStack() as stack:
        idle = []
        for _ in range(count):
            idle.append(stack.enter_context(alone.connect(timeout=60)))
            idle[-1].sendall(GET.replace(b"/", b"/good", 1))
            read_answer(idle[-1])
        with Good(alone):
            for sock in idle:  # each of them is still as good as new
                sock.sendall(GET.replace(b"/", b"/good", 1))
                assert read_answer(sock)[1] == b"ok"
        assert alone.metric("client_connections") == count
        stack.close()
        nothing_left(alone)


def rubbish(seed):
    """Bytes at random, or a request in which some have been changed, left out or doubled."""
    source = random.Random(seed)
    if source.random() < 0.3:
        return source.randbytes(source.randrange(1, 3000))
    data = bytearray(source.choice((GET.replace(b"/", b"/other", 1), POST, PUT)))
    for _ in range(source.randrange(1, 4)):
        at = source.randrange(len(data))
        kind = source.randrange(4)
        if kind == 0:
            data[at] = source.randrange(256)
        elif kind == 1:
            del data[at:at + source.randrange(1, 9)]
        elif kind == 2:
            data[at:at] = data[at:at + source.randrange(1, 40)]
        else:
            data[at:at] = source.choice((b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\r\n", b"\r\n "))
        if not data:
            break
    return bytes(data)


def send_rubbish(alone, seed, end, sent):
    """One after the other; some clients end their side, some go away at once, the rest waits for what the proxy says."""
    while time.monotonic() < end:
        seed += 1
        with alone.connect() as sock, contextlib.suppress(ConnectionError):
            sock.sendall(rubbish(seed))
            sent.append(seed)
            if seed % 3 == 0:
                sock.shutdown(socket.SHUT_WR)
            if seed % 7 != 0:
                read_all(sock)


def test_crowd_that_sends_rubbish_holds_up_nobody():
    raise_file_limit()
    seed = int(os.environ.get("FASTCONTAINER_SEED", "1"))
    limits = {"header_ms": 300, "body_ms": 300, "idle_ms": 300, "response_ms": 2000, "upstream_idle_ms": 1000}
    with Alone(origin, timeouts=limits, log={"path": "off"}) as alone:
        sent = []
        with Good(alone) as good:
            end = time.monotonic() + SECONDS
            threads = [threading.Thread(target=send_rubbish, args=(alone, (seed + i) << 32, end, sent)) for i in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        seen = {name[-5:-2]: value for name, value in alone.metrics().items() if name.startswith("fc_proxy_requests_total")}
        print(len(sent), "pieces of rubbish; statuses:", seen)
        # Enough of it looked like requests to come as far as the server.
        assert len(sent) > 50 and seen["400"] > 0 and seen["200"] > good.answered, (len(sent), seen, good.answered)
        nothing_left(alone)
