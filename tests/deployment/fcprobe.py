"""fcprobe beside fping: the same hosts alive, the same exit status, the same lines; and what fping does not have."""
import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time

from cloud import BIN
from netns import Network

ALIVE, SILENT, REJECTING = "10.77.0.11", "10.77.0.12", "10.77.0.13"
NO_ROUTE = "198.51.100.1"
SERVER = """
import socket
listener = socket.create_server(("0.0.0.0", 80), backlog=1000)
print("ready", flush=True)
while True:
    listener.accept()[0].close()
"""


@contextlib.contextmanager
def network():
    """h1 answers, and serves port 80; h2 is silent; h3 rejects; the prober is where the proxy would be."""
    with Network(3) as net:
        # Otherwise a second fping within the second gets no ICMP error.
        for host in ("h1", "h3"):
            net.hosts[host].sysctl("net.ipv4.icmp_ratelimit", "0")
        net.drop("h2", ("input",))
        net.hosts["h3"].nft("table inet cut { chain input { type filter hook input priority -300; iif lo accept; "
                            "reject with icmpx type admin-prohibited\n}\n}\n")
        server = subprocess.Popen([*net.hosts["h1"].enter(), sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
        server.stdout.readline()
        try:
            yield net
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


def probe(net, *arguments, program=f"{BIN}/fcprobe", stdin="", prefix=()):
    return subprocess.run([*net.proxy.enter(), *prefix, program, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, input=stdin)


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def verdicts(result):
    return {row["target"]: row["verdict"] for row in rows(result) if row["type"] == "target"}


def shape(text):
    """Without the figures that differ from run to run."""
    text = re.sub(r"\d+\.\d+(?= (ms|avg)\b)|(?<== )\d+\.\d+/\d+\.\d+/\d+\.\d+", "X", text)
    text = re.sub(r"^\[\d{10}\.\d{5}\]", "[STAMP]", text, flags=re.M)
    text = re.sub(r" +\d+\.\d+ sec", " X sec", text)
    text = re.sub(r" from \S+ for", " for", text)
    return re.sub(r"(?<= : )[\d. -]+$", lambda m: re.sub(r"[\d.]+", "X", m[0]), text, flags=re.M)


def check_as_fping(net, *arguments, stdin="", errors=True):
    theirs = probe(net, *arguments, program="fping", stdin=stdin)
    ours = probe(net, *arguments, stdin=stdin)
    assert ours.returncode == theirs.returncode, (arguments, theirs, ours)
    # Which of two targets is judged first is not part of the format.
    assert sorted(shape(ours.stdout).splitlines()) == sorted(shape(theirs.stdout).splitlines()), \
        (arguments, theirs.stdout, ours.stdout)
    if errors:
        assert set(shape(ours.stderr).splitlines()) == set(shape(theirs.stderr).splitlines()), \
            (arguments, theirs.stderr, ours.stderr)


def test_fcprobe_prints_and_exits_as_fping():
    if shutil.which("fping") is None:
        sys.exit(77)
    some = (ALIVE, SILENT, REJECTING, "127.0.0.1")
    with network() as net:
        check_as_fping(net, "127.0.0.1", "127.0.0.2")
        for option in ([], ["-a"], ["-u"], ["-q"], ["-e"], ["-A"]):
            check_as_fping(net, *option, "-t", "60", "-r", "1", *some, NO_ROUTE)
        check_as_fping(net, "-s", "-t", "60", "-r", "1", ALIVE, SILENT)
        for option in (["-c", "2"], ["-C", "2"], ["-c", "2", "-q"], ["-C", "2", "-q"], ["-c", "1", "-D"],
                       ["-c", "1", "-a"], ["-c", "1", "-s"]):
            check_as_fping(net, *option, "-p", "80", ALIVE, SILENT, "127.0.0.1")
        check_as_fping(net, "-C", "2", "-p", "80", *some)
        check_as_fping(net, "-g", "127.0.0.0/29")
        check_as_fping(net, "-g", "127.0.0.250", "127.0.1.2", "-i", "1")
        check_as_fping(net, stdin=f"# hosts\n127.0.0.1 first\n\n{ALIVE}\n")
        check_as_fping(net, "-f", "-", stdin="127.0.0.3\n")
        check_as_fping(net, "-x", "2", "-t", "60", "-r", "0", ALIVE, SILENT, "127.0.0.1")
        check_as_fping(net, "-x", "3", "-t", "60", "-r", "0", ALIVE, SILENT, "127.0.0.1")
        check_as_fping(net, "127.0.0.1", "10.77.0.777", errors=False)
        check_as_fping(net, "-c", "1", "-q", "10.77.0.777", errors=False)
        check_as_fping(net, "-S", "198.51.100.9", "127.0.0.1", errors=False)
        check_as_fping(net, "-c", "1", "-b", "1400", "-M", ALIVE)


def test_fcprobe_json_says_why():
    with network() as net:
        result = probe(net, "--json", "-s", "-t", "60", "-r", "1", ALIVE, SILENT, REJECTING, NO_ROUTE,
                       "no.such.invalid")
        assert result.returncode == 2, result
        assert verdicts(result) == {ALIVE: "up", SILENT: "down_timeout", REJECTING: "down_unreachable",
                                    NO_ROUTE: "local_fault", "no.such.invalid": "not_found"}
        by_target = {row.get("target"): row for row in rows(result)}
        assert by_target[ALIVE]["received"] == 1 and by_target[ALIVE]["rtt_ms"]["p99"] > 0
        assert by_target[SILENT]["sent"] == 2 and by_target[SILENT]["lost"] == 1
        assert by_target[REJECTING]["reason"] == "Communication Administratively Prohibited"
        assert by_target[NO_ROUTE]["errno"] == "ENETUNREACH"
        assert by_target[None]["type"] == "summary" and by_target[None]["alive"] == 1


def test_fcprobe_tcp_tells_closed_from_down():
    with network() as net:
        targets = [f"{ALIVE}:80", f"{ALIVE}:81", f"{SILENT}:80", f"{REJECTING}:80"]
        expected = dict(zip(targets, ("up", "up_port_closed", "down_timeout", "down_unreachable")))
        for mechanism in ("tcp", "syn"):
            result = probe(net, "--json", "--mechanism", mechanism, "-t", "60", "-r", "1", *targets)
            assert verdicts(result) == expected and result.returncode == 1, result
        assert probe(net, "-q", *targets[:2]).returncode == 0
        assert probe(net, "-q", "--need-open", *targets[:2]).returncode == 1
        assert probe(net, "-a", "--port", "81", ALIVE).stdout == f"{ALIVE}:81\n"


def test_fcprobe_sweep_finds_the_broken_path():
    with network() as net:
        net.hosts["h1"].nft("table inet ecmp { chain input { type filter hook input priority -300; "
                            "th sport { 40003, 40009 } drop\n}\n}\n")
        for mechanism, port in (("tcp", 80), ("syn", 80), ("udp", 9)):
            result = probe(net, "--source-ports", "12", "--mechanism", mechanism, "-t", "80", "-r", "1",
                           "-i", "1", f"{ALIVE}:{port}")
            assert result.returncode == 1, result
            assert re.findall(r"from port (\d+)", result.stdout) == ["40003", "40009"], result
            assert "10 of 12 source ports answered" in result.stdout, result


def test_fcprobe_without_permission_names_the_sysctl():
    drop = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--ambient-caps", "-all", "--reuid", "65534",
            "--clear-groups")
    with network() as net:
        if probe(net, program="true", prefix=drop).returncode != 0:
            sys.exit(77)
        net.proxy.sysctl("net.ipv4.ping_group_range", "1 0")
        result = probe(net, ALIVE, prefix=drop)
        assert result.returncode == 4 and "net.ipv4.ping_group_range" in result.stderr, result
        assert result.stdout == ""
        result = probe(net, "-a", "--tcp-fallback", "80", ALIVE, prefix=drop)
        assert result.returncode == 0 and "net.ipv4.ping_group_range" in result.stderr, result
        assert probe(net, "-a", f"{ALIVE}:80", prefix=drop).returncode == 0


def test_fcprobe_loops_until_it_is_interrupted():
    with network() as net:
        process = subprocess.Popen([*net.proxy.enter(), f"{BIN}/fcprobe", "-l", "-p", "20", "--json", ALIVE, SILENT],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines = [process.stdout.readline() for _ in range(20)]
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 1 and errors == "", (process.returncode, errors)
        parsed = [json.loads(line) for line in lines + output.splitlines()]
        assert [row["type"] for row in parsed[:20]] == ["probe"] * 20
        assert {row["target"] for row in parsed if row["type"] == "target"} == {ALIVE, SILENT}
        alive = [row["sequence"] for row in parsed if row["type"] == "probe" and row["target"] == ALIVE]
        assert alive == list(range(len(alive)))


def test_fcprobe_draws_a_histogram():
    with network() as net:
        result = probe(net, "-c", "50", "-p", "1", "-i", "0", "-q", "--histogram", "--percentiles", ALIVE)
        counts = [int(row) for row in re.findall(r"\| ?#* (\d+) [\d.]+%", result.stdout)]
        assert sum(counts) == 50, result
        assert re.search(r"p50/p90/p99 = [\d.]+/[\d.]+/[\d.]+", result.stderr), result


def test_fcprobe_asks_thousands():
    with network() as net:
        begin = time.monotonic()
        result = probe(net, "-i", "0", "-t", "2000", "--json", "-s", "-g", "127.1.0.0/18")
        assert result.returncode == 0, result.stderr
        assert len(set(verdicts(result))) == 16382 and set(verdicts(result).values()) == {"up"}
        assert "dropped" not in result.stderr
        assert time.monotonic() - begin < 60


def test_fcprobe_refuses_by_name():
    with network() as net:
        for arguments, said in ((["-t", "x", ALIVE], ["-t", '"x"', "milliseconds"]),
                                (["--size", "99999", ALIVE], ["-b", "99999", "65000"]),
                                (["-g", "10.0.0.0/33"], ["-g", "10.0.0.0/33", "1 to 32"]),
                                (["-I", "nonsense0", ALIVE], ["-I", "nonsense0", "interface"]),
                                (["--nonsense", ALIVE], ["--nonsense"]),
                                (["-a", "-u", ALIVE], ["only one of a, u"])):
            result = probe(net, *arguments)
            assert result.returncode == 3 and result.stdout == "", (arguments, result)
            for words in said:
                assert words in result.stderr, (arguments, words, result.stderr)
        assert probe(net, "-f", "/nonexistent").returncode == 4
