"""Servers of the CMDB's stores for one run: on loopback, in a folder of their own, ended with it."""
import contextlib
import ctypes
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PATIENCE = 60
PR_SET_PDEATHSIG = 1
MEMORY = "/dev/shm"
ROOM = 4 << 30  # what a million placements take in etcd, and its log of them
LIBC = ctypes.CDLL(None)


def cpus():
    """Those of the client and those of the servers: on different ones neither is in the other's way by chance."""
    available = sorted(os.sched_getaffinity(0))
    half = len(available) // 2
    return (set(available[:half]), set(available[half:])) if half else (set(available), set(available))


def in_memory():
    return os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free >= ROOM


@contextlib.contextmanager
def folder():
    """In memory if there is room, so that what the disk takes does not hide what the library takes."""
    path = tempfile.mkdtemp(prefix="fastcontainer.", dir=MEMORY if in_memory() else None)
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def nobody():
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


@contextlib.contextmanager
def server(words, log, user=None, stop=signal.SIGTERM):
    def prepare():
        os.sched_setaffinity(0, cpus()[1])
        if user:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    with open(log, "ab") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, cwd="/", preexec_fn=prepare)
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_open(port, process, log):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    with open(log) as text:
        raise RuntimeError(f"a server does not start: {text.read()[-2000:]}")


def etcd_program():
    return shutil.which("etcd")


@contextlib.contextmanager
def etcd():
    """Its port."""
    with folder() as path:
        port, peer, log = free_port(), free_port(), f"{path}/log"
        client, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
        words = [etcd_program(), "--name=one", f"--data-dir={path}/data", f"--listen-client-urls={client}",
                 f"--advertise-client-urls={client}", f"--listen-peer-urls={peers}",
                 f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=one={peers}", "--log-level=error",
                 "--logger=zap", f"--quota-backend-bytes={8 << 30}"]
        with server(words, log) as process:
            wait_until_open(port, process, log)
            yield port


def postgresql_programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return os.path.dirname(found[-1]) if found else None


@contextlib.contextmanager
def postgresql():
    """Its URL, with parameters."""
    with folder() as path:
        port, log, data, user = free_port(), f"{path}/log", f"{path}/data", nobody()
        os.mkdir(data, 0o700)
        if user:
            os.chown(data, user.pw_uid, user.pw_gid)
        with server([f"{postgresql_programs()}/initdb", "-D", data, "-U", "admin", "-A", "trust", "-E", "UTF8",
                     "--locale=C", "--no-sync", "--no-instructions"], log, user) as initdb:
            if initdb.wait() != 0:
                raise RuntimeError("initdb has failed")
        words = [f"{postgresql_programs()}/postgres", "-D", data, "-p", str(port), "-k", "", "-c",
                 "listen_addresses=127.0.0.1"]
        with server(words, log, user, signal.SIGINT) as process:
            wait_until_open(port, process, log)
            yield f"postgresql://admin@127.0.0.1:{port}/postgres?connect_timeout=10"
