"""fc-proxy beside nginx and HAProxy: one worker each, pooled, in front of one server, in turns; and what an idle client takes."""
import re
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile

import proxy_lab
from row import Row

PEERS = ("nginx", "haproxy")
SIZES = {"40": "/", "100k": "/large"}
CONNECTIONS = (10, 64, 1000)
ROUNDS = 5
SECONDS = 2
IDLE = 4000
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def measure(port, path, connections):
    """(requests/s, 99th percentile in ms)"""
    out = subprocess.run(["wrk", "-t", "1", "-c", str(connections), "-d", f"{SECONDS}s", "--latency", "--timeout", "20s", "-H",
                          f"Host: {proxy_lab.HOST}", f"http://127.0.0.1:{port}{path}"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    late, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), float(late) * UNITS[unit]


def compare(proxies, path, connections):
    """{name: (requests/s, p99 in ms)}, medians of interleaved turns."""
    found = {name: [] for name in proxies}
    for i in range(ROUNDS):
        for name in list(proxies)[::-1 if i % 2 else 1]:
            found[name].append(measure(proxies[name][0], path, connections))
    return {name: [statistics.median(values) for values in zip(*runs)] for name, runs in found.items()}


def served_client(port):
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(f"GET / HTTP/1.1\r\nHost: {proxy_lab.HOST}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"</html>\n"):
        answer += client.recv(65536)
    return client


def anonymous(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss_Anon")) * 1024


def bytes_of_an_idle_client(port, pid):
    """Of the process; what the kernel keeps for a socket is the same for all."""
    first = [served_client(port) for _ in range(100)]
    before = anonymous(pid)
    clients = [served_client(port) for _ in range(IDLE)]
    taken = anonymous(pid) - before
    for client in first + clients:
        client.close()
    return taken / IDLE


def rows():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    there = [name for name in PEERS if shutil.which(name)]
    with tempfile.TemporaryDirectory(prefix="fc-bench-") as folder:
        bench = proxy_lab.Bench(folder)
        try:
            proxies = proxy_lab.start_all(bench, (*there, "library"))
            memory = {name: bytes_of_an_idle_client(*proxy) for name, proxy in proxies.items()}
            for size, path in SIZES.items():
                for connections in CONNECTIONS:
                    found = compare(proxies, path, connections)
                    for peer in PEERS:
                        yield from beside(peer, f"{size}_{connections}", found)
            for peer in PEERS:
                if peer in there:
                    yield Row("peers", f"idle_client_{peer}", memory["library"], "bytes", memory[peer], peer)
        finally:
            proxy_lab.stop(bench)


def beside(peer, name, found):
    if peer not in found:
        yield Row("peers", f"requests_{name}_{peer}", skipped=f"{peer} is not installed")
        return
    (rate, late), (their_rate, their_late) = found["library"], found[peer]
    yield Row("peers", f"requests_{name}_{peer}", rate, "/s", their_rate, peer)
    yield Row("peers", f"p99_{name}_{peer}", late, "ms", their_late, peer)
