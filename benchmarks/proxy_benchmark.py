"""fc-proxy beside itself without the library, and beside nginx: one worker each, pooled, the same server, interleaved."""
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

from row import Row

BIN = os.environ["FASTCONTAINER_BIN"]
PAIRS = 16
NGINX_EACH = 2  # pairs
SECONDS = 3
CONNECTIONS = 64


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.children = {}

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def spawn(self, name, *command):
        with open(self.path(name + ".err"), "ab") as err:
            self.children[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                                   start_new_session=True)
        return self.children[name]

    def nginx(self, name, body):
        pid = self.path(name + ".pid")
        text = (f"daemon off; master_process off; worker_processes 1; pid {pid}; error_log stderr error;\n"
                f"events {{ worker_connections 4096; }}\nhttp {{ access_log off; keepalive_requests 1000000000;\n"
                f"client_body_temp_path {self.path('body')}; proxy_temp_path {self.path('proxy')};\n"
                f"fastcgi_temp_path {self.path('fcgi')}; uwsgi_temp_path {self.path('uwsgi')}; scgi_temp_path {self.path('scgi')};\n"
                f"{body}\n}}\n")
        return self.write(name + ".conf", text)

    def stop(self):
        for child in self.children.values():
            child.send_signal(signal.SIGTERM)
        for child in self.children.values():
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()


def answers(port, host="bench.test"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": host})
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return response.read()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


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
    out = subprocess.run(["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "-H", "Host: bench.test",
                          f"http://127.0.0.1:{port}/"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    return requests / SECONDS, (cpu_ns(pid) - before) / requests


def start_container(bench, library, admin):
    """The library's proxy with its container, an nginx; returns the container's port."""
    dispatcher_udp = free_port()
    os.makedirs(bench.path("www"))
    os.makedirs(bench.path("state"))
    bench.write("www/index.html", "<html><body>hello, world!</body></html>\n")
    cmdb = "sqlite:" + bench.path("cmdb.db")
    container = bench.nginx("container", "server { listen ADDRESS:PORT; root %s; }" % bench.path("www"))
    script = bench.write("container.sh", "#!/bin/sh\nsed -e \"s/ADDRESS/$ADDRESS/; s/PORT/$PORT/; s/container.pid/$PORT.pid/\" "
                         f"{container} > {bench.path('run')}-$PORT.conf && echo $PORT > {bench.path('port')} && "
                         f"exec nginx -c {bench.path('run')}-$PORT.conf\n")
    os.chmod(script, 0o755)
    records = {"specs": {"bench": {"command": [script], "concurrency": 1000, "ready": {"http": "/"}}}, "keys": {"bench.test": "bench"}}
    subprocess.run([f"{BIN}/fcctl", "--cmdb", cmdb, "apply", bench.write("apply.json", json.dumps(records))], check=True,
                   stdout=subprocess.DEVNULL)
    bench.spawn("dispatcher", f"{BIN}/fc-dispatcher", "--config", bench.write("dispatcher.json", json.dumps(
        {"host": "h1", "cmdb": cmdb, "address": "127.0.0.1", "port": dispatcher_udp, "state_directory": bench.path("state")})))
    bench.spawn("library", f"{BIN}/fc-proxy", "--config", bench.write("library.json", json.dumps(
        {"log": {"path": "off"}, "listen": f"127.0.0.1:{library}", "admin": f"127.0.0.1:{admin}", "cmdb": cmdb})))
    answers(library)
    with open(bench.path("port")) as file:
        return int(file.read())


def start_all(bench):
    """{name: (port, pid)}; all of them go to the same container."""
    fixed, library, peer, admin1, admin2 = (free_port() for _ in range(5))
    server = start_container(bench, library, admin2)
    upstream = (f"upstream u {{ server 127.0.0.1:{server}; keepalive 128; keepalive_requests 1000000000; }}\n"
                f"server {{ listen 127.0.0.1:{peer}; location / {{ proxy_pass http://u; proxy_http_version 1.1; "
                "proxy_set_header Connection \"\"; proxy_set_header Host $host; } }")
    bench.spawn("nginx", "nginx", "-c", bench.nginx("nginx", upstream))
    bench.spawn("fixed", f"{BIN}/fc-proxy", "--config", bench.write("fixed.json", json.dumps(
        {"log": {"path": "off"}, "listen": f"127.0.0.1:{fixed}", "admin": f"127.0.0.1:{admin1}",
         "fixed_upstream": f"127.0.0.1:{server}"})))
    ports = {"nginx": peer, "fixed": fixed, "library": library}
    for port in ports.values():
        answers(port)
    return {name: (port, bench.children[name].pid) for name, port in ports.items()}


def rows():
    cpu_ratios, rates, cpu = [], {"nginx": [], "library": []}, []
    with tempfile.TemporaryDirectory(prefix="fc-bench-") as folder:
        bench = Bench(folder)
        try:
            proxies = start_all(bench)
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
            stop_containers(bench)
            bench.stop()
    base = statistics.median(cpu) / 1e3
    yield Row("proxy", "cpu_per_request", base * statistics.median(cpu_ratios), "us", base, "fixed upstream, without the library")
    yield Row("proxy", "requests", statistics.median(rates["library"]), "/s", statistics.median(rates["nginx"]), "nginx")


def stop_containers(bench):
    """Drains the dispatcher, which stops what it started."""
    child = bench.children.get("dispatcher")
    if child is None:
        return
    child.send_signal(signal.SIGUSR1)
    try:
        child.wait(timeout=20)
    except subprocess.TimeoutExpired:
        child.kill()
