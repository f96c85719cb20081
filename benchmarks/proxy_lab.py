"""Proxies side by side on loopback, one worker each, in front of one server, an nginx that a dispatcher has started."""
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

BIN = os.environ["FASTCONTAINER_BIN"]
HOST = "bench.test"
LARGE = 100 * 1024  # bytes of /large
POOL = 1024  # connections that are kept to the server
PROXY = {"log": {"path": "off"}, "limits": {"upstream_idle": POOL, "queue_per_container": 4000}}


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


def answers(port):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": HOST})
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return response.read()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def start_container(bench, library):
    """The library's proxy with its container, an nginx; returns the container's port."""
    dispatcher_udp = free_port()
    os.makedirs(bench.path("www"))
    os.makedirs(bench.path("state"))
    bench.write("www/index.html", "<html><body>hello, world!</body></html>\n")
    bench.write("www/large", "x" * LARGE)
    cmdb = "sqlite:" + bench.path("cmdb.db")
    container = bench.nginx("container", "server { listen ADDRESS:PORT; root %s; }" % bench.path("www"))
    script = bench.write("container.sh", "#!/bin/sh\nsed -e \"s/ADDRESS/$ADDRESS/; s/PORT/$PORT/; s/container.pid/$PORT.pid/\" "
                         f"{container} > {bench.path('run')}-$PORT.conf && echo $PORT > {bench.path('port')} && "
                         f"exec nginx -c {bench.path('run')}-$PORT.conf\n")
    os.chmod(script, 0o755)
    records = {"specs": {"bench": {"command": [script], "concurrency": 4000, "ready": {"http": "/"}}}, "keys": {HOST: "bench"}}
    subprocess.run([f"{BIN}/fcctl", "--cmdb", cmdb, "apply", bench.write("apply.json", json.dumps(records))], check=True,
                   stdout=subprocess.DEVNULL)
    bench.spawn("dispatcher", f"{BIN}/fc-dispatcher", "--config", bench.write("dispatcher.json", json.dumps(
        {"host": "h1", "cmdb": cmdb, "address": "127.0.0.1", "port": dispatcher_udp, "state_directory": bench.path("state")})))
    bench.spawn("library", f"{BIN}/fc-proxy", "--config", bench.write("library.json", json.dumps(
        {**PROXY, "listen": f"127.0.0.1:{library}", "cmdb": cmdb})))
    answers(library)
    with open(bench.path("port")) as file:
        return int(file.read())


def start_fixed(bench, server):
    """fc-proxy without the library."""
    port = free_port()
    bench.spawn("fixed", f"{BIN}/fc-proxy", "--config", bench.write("fixed.json", json.dumps(
        {**PROXY, "listen": f"127.0.0.1:{port}", "fixed_upstream": f"127.0.0.1:{server}"})))
    return port


def start_nginx(bench, server):
    port = free_port()
    body = (f"upstream u {{ server 127.0.0.1:{server}; keepalive {POOL}; keepalive_requests 1000000000; }}\n"
            f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://u; proxy_http_version 1.1; "
            "proxy_set_header Connection \"\"; proxy_set_header Host $host; "
            # A response of 100 KiB fits: by default it would take the way through a file.
            "proxy_buffers 16 16k; proxy_buffer_size 16k; proxy_busy_buffers_size 64k; } }")
    bench.spawn("nginx", "nginx", "-c", bench.nginx("nginx", body))
    return port


def start_haproxy(bench, server):
    port = free_port()
    text = ("global\n    nbthread 1\n    maxconn 8000\ndefaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n"
            f"    timeout server 60s\n    http-reuse always\nlisten site\n    bind 127.0.0.1:{port} backlog 4096\n"
            f"    server s 127.0.0.1:{server} pool-max-conn {POOL}\n")
    bench.spawn("haproxy", "haproxy", "-db", "-f", bench.write("haproxy.cfg", text))
    return port


STARTS = {"fixed": start_fixed, "nginx": start_nginx, "haproxy": start_haproxy}


def start_all(bench, names):
    """{name: (port, pid)}; all of them go to the same container. "library" is the proxy that starts it."""
    library = free_port()
    server = start_container(bench, library)
    ports = {name: library if name == "library" else STARTS[name](bench, server) for name in names}
    for port in ports.values():
        answers(port)
    return {name: (port, bench.children[name].pid) for name, port in ports.items()}


def stop(bench):
    """The dispatcher first: drained, it stops what it has started."""
    child = bench.children.get("dispatcher")
    if child is not None:
        child.send_signal(signal.SIGUSR1)
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
    bench.stop()
