"""examples/probe_percentiles: what it prints and draws."""
import os
import runpy
import socket
import subprocess
import sys

SCRIPT = os.path.join(os.path.dirname(__file__), "../../examples/probe_percentiles/plot.py")


def test_percentiles_of_hosts_that_answer_and_of_one_that_does_not_become_a_table_and_a_png(tmp_path):
    path = tmp_path / "percentiles.png"
    environment = {**os.environ, "PYTHONWARNINGS": "", "MPLCONFIGDIR": str(tmp_path)}  # warnings are matplotlib's own
    # A listener whose queue is full does not answer handshakes.
    with socket.create_server(("127.0.0.1", 0)) as answers, socket.create_server(("127.0.0.1", 0), backlog=0) as silent, \
            socket.create_connection(silent.getsockname()):
        names = [f"127.0.0.1:{one.getsockname()[1]}" for one in (answers, silent)]
        told = subprocess.run([sys.executable, "-B", SCRIPT, *names, "--for", "0.2", "--every", "0.01", "--deadline", "0.05",
                               "-o", str(path)], env=environment, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()
    assert told[0].split() == ["host", "p50", "p90", "p99", "p99.9", "lost"]
    first, second = told[1].split(), told[2].split()
    assert first[0] == names[0] and 0 < float(first[1]) <= float(first[4]) and first[-1] == "0/20", told
    assert second[0] == names[1] and second[1] == "inf" and second[-1] == "20/20", told
    image = path.read_bytes()
    assert image.startswith(b"\x89PNG\r\n\x1a\n") and len(image) > 5000


def test_percentiles_and_targets():
    script = runpy.run_path(SCRIPT)
    times = list(range(1, 1001))
    assert [script["percentile"](times, share) for share in (50, 90, 99, 99.9)] == [500, 900, 990, 999]
    assert script["percentile"]([7], 99.9) == 7
    assert [script["target"](text) for text in ("10.0.0.1", "10.0.0.1:80", "fd00::1", "[fd00::1]:80", "[fd00::1]")] == [
        ("10.0.0.1", 0), ("10.0.0.1", 80), ("fd00::1", 0), ("fd00::1", 80), ("fd00::1", 0)]
