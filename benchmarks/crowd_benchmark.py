"""fc-proxy under crowds: what 1,000 slow clients, 10,000 idle connections and random bytes cost a client that behaves.

Quiet and crowded slots alternate; a slot's latencies at a fixed rate of requests are set against its neighbour's."""
import contextlib
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import tempfile
import time

from crowds import IDLE, SLOW, raise_file_limit, rubbish
from proxy_lab import BIN, Bench, answers, free_port
from row import Row

RATE = 500
SECONDS = 5
PAIRS = {"slow": 6, "idle": 6, "rubbish": 12}  # of rubbish 60 s in all
BIG = 64 << 20


def connect(port, data=b"", buffer=None):
    sock = socket.socket()
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.connect(("127.0.0.1", port))
    sock.sendall(data)
    return sock


def request(path, more=b"\r\n"):
    return b"GET /%s HTTP/1.1\r\nHost: bench.test\r\n%s" % (path, more)


@contextlib.contextmanager
def process(target, *arguments):
    """A crowd in a process of its own, so that what it does is not done by whoever measures."""
    ready = multiprocessing.Event()
    child = multiprocessing.Process(target=target, args=(ready, *arguments), daemon=True)
    child.start()
    ready.wait(60)
    yield
    child.kill()
    child.join()


def settle():
    """Until the buffers of those who do not read are full: filling them is work for fast ends, not for slow ones."""
    def loopback():
        with open("/proc/net/dev") as file:
            return next(int(line.split()[1]) for line in file if line.split()[0] == "lo:")
    before, now = 0, loopback()
    while now - before > 1 << 20:
        time.sleep(0.5)
        before, now = now, loopback()


def slow(ready, port):
    """Heads, bodies and readers: each goes on by a byte, or a little, every second."""
    third = SLOW // 3
    heads = [connect(port, request(b"", b"X: ")) for _ in range(third)]
    bodies = [connect(port, b"PUT / HTTP/1.1\r\nHost: bench.test\r\nContent-Length: 100000\r\n\r\n") for _ in range(third)]
    readers = [connect(port, request(b"big"), 4096) for _ in range(SLOW - 2 * third)]
    settle()
    ready.set()
    while True:
        time.sleep(1)
        for sock in heads + bodies:
            with contextlib.suppress(OSError):
                sock.send(b"x")
        for sock in readers:
            with contextlib.suppress(OSError):
                sock.recv(1024)


def idle(ready, port):
    hard = raise_file_limit()
    sockets = []
    for _ in range(min(IDLE, (hard - 64) // 2 - 500)):
        sockets.append(connect(port, request(b"")))
        sockets[-1].recv(65536)
    ready.set()
    time.sleep(3600)


def send_rubbish(ready, port, seed):
    ready.set()
    while True:
        seed += 1
        with connect(port) as sock, contextlib.suppress(OSError):
            sock.settimeout(0.02)
            sock.sendall(rubbish(seed))
            sock.recv(65536)


def measure(port):
    """(median, 99th percentile) in ms; every request is answered."""
    out = subprocess.run([f"{BIN}/openloop", "--rate", str(RATE), "--seconds", str(SECONDS), "--keep-alive", "--host",
                          "bench.test", f"http://127.0.0.1:{port}/"], check=True, stdout=subprocess.PIPE, text=True).stdout
    report = json.loads(out.splitlines()[-1])
    assert report["failures"] == 0, report["outcomes"]
    return report["p50_ms"], report["p99_ms"]


def start(bench):
    raise_file_limit()
    proxy, admin, server = free_port(), free_port(), free_port()
    os.makedirs(bench.path("www"))
    bench.write("www/index.html", "<html><body>hello, world!</body></html>\n")
    with open(bench.path("www/big"), "wb") as file:
        file.truncate(BIG)
    where = f"listen 127.0.0.1:{server}; root {bench.path('www')};"
    bench.spawn("server", "nginx", "-c", bench.nginx("server", f"server {{ {where} location / {{ }} }}"))
    config = {"log": {"path": "off"}, "listen": f"127.0.0.1:{proxy}", "admin": f"127.0.0.1:{admin}",
              "fixed_upstream": f"127.0.0.1:{server}"}
    bench.spawn("proxy", f"{BIN}/fc-proxy", "--config", bench.write("proxy.json", json.dumps(config)))
    answers(proxy)
    return proxy


def rows():
    crowds = {"slow": slow, "idle": idle, "rubbish": send_rubbish}
    says = {"slow": f"{SLOW} slow clients", "idle": "idle connections", "rubbish": "random bytes"}
    with tempfile.TemporaryDirectory(prefix="fc-bench-") as folder:
        bench = Bench(folder)
        try:
            port = start(bench)
            measure(port)
            for name, crowd in crowds.items():
                quiet, crowded = [], []
                for i in range(PAIRS[name]):
                    quiet.append(measure(port))
                    with process(crowd, port, *([i << 32] if name == "rubbish" else [])):
                        crowded.append(measure(port))
                for j, which in enumerate(("median", "p99")):
                    # Neighbours in time are compared: the machine's mood changes slowly.
                    ratio = statistics.median(with_it[j] / without[j] for with_it, without in zip(crowded, quiet))
                    floor = statistics.median(slot[j] for slot in quiet)
                    yield Row("crowd", f"{name}_{which}", floor * ratio, "ms", floor, f"without {says[name]}")
        finally:
            bench.stop()
