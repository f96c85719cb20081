"""One proxy and one server that says what the test wants, on loopback: no hosts, no library ("fixed_upstream")."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading

from cloud import BIN, wait_until


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def read_until(sock, end, got=b""):
    """What comes up to and with `end`, and what has come behind it."""
    while end not in got:
        data = sock.recv(65536)
        if not data:
            raise EOFError(got)
        got += data
    at = got.index(end) + len(end)
    return got[:at], got[at:]


def read_all(sock):
    """Until the end of the connection; a reset is shown as None."""
    parts = []
    while True:
        try:
            data = sock.recv(1 << 20)
        except ConnectionResetError:
            return None
        if not data:
            return b"".join(parts)
        parts.append(data)


class Alone:
    """`serve(sock)` is called in a thread of its own for each connection that the proxy makes."""

    def __init__(self, serve, **options):
        self.serve, self.options = serve, options
        self.origin_connections = 0

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="fc-proxy-")
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        threading.Thread(target=self.accept, daemon=True).start()
        self.port, self.admin_port = free_port(), free_port()
        config = {"listen": f"127.0.0.1:{self.port}", "admin": f"127.0.0.1:{self.admin_port}",
                  "fixed_upstream": "127.0.0.1:%d" % self.listener.getsockname()[1],
                  "log": {"path": os.path.join(self.folder, "requests.log")}, **self.options}
        path = os.path.join(self.folder, "proxy.json")
        with open(path, "w") as file:
            json.dump(config, file)
        with open(os.path.join(self.folder, "proxy.err"), "wb") as err:
            self.proxy = subprocess.Popen([f"{BIN}/fc-proxy", "--config", path], stderr=err)
        wait_until(self.ready, "the proxy serves")
        self.files_at_start = self.open_files()
        return self

    def __exit__(self, failed, _value, _traceback):
        self.listener.close()
        self.proxy.terminate()
        try:
            status = self.proxy.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.proxy.kill()
            status = self.proxy.wait()
        errors = self.read("proxy.err")
        if failed:
            print(errors, self.read("requests.log")[-4000:])
        shutil.rmtree(self.folder, ignore_errors=True)
        # A sanitizer's report is a failure of the test, whatever else it saw.
        assert failed or status == 0, (status, errors[-4000:])

    def ready(self):
        if self.proxy.poll() is not None:
            raise AssertionError(f"fc-proxy ended with {self.proxy.returncode}: {self.read('proxy.err')}")
        return "ready\n" in self.read("proxy.err")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.proxy.pid}/fd"))

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.origin_connections += 1
                threading.Thread(target=self.serve_one, args=(sock,), daemon=True).start()

    def serve_one(self, sock):
        with sock, contextlib.suppress(OSError, EOFError):
            sock.settimeout(60)
            self.serve(sock)

    def read(self, name):
        with open(os.path.join(self.folder, name), errors="replace") as file:
            return file.read()

    def connect(self, timeout=20, receive_buffer=None):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def ask(self, data):
        """All that comes back for these bytes, until the proxy closes; None: it has reset the connection."""
        with self.connect() as sock:
            sock.sendall(data)
            return read_all(sock)

    def metrics(self):
        with socket.create_connection(("127.0.0.1", self.admin_port), timeout=20) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            text = read_all(sock).decode()
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("fc_proxy")]
        return {name: float(value) for name, value in lines}

    def metric(self, name):
        return self.metrics()["fc_proxy_" + name]

    def request_log(self):
        return [json.loads(line) for line in self.read("requests.log").splitlines()]

    def logged(self, count):
        """Lines are written in batches."""
        return wait_until(lambda: len(self.request_log()) >= count and self.request_log(), f"{count} lines are logged")
