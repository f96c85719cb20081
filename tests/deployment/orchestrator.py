"""examples/orchestrator on real hosts: R27, R47, R58, R60. Two orchestrators, beside the two proxies."""
import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import threading

from cloud import BIN, HERE, wait_until
from load import OpenLoop
from request_path import warm
from stores import Stores

PORT = 8090
HOOK_PORT = 8091
TOKEN = "of-the-tests"
FINISHED = ("done", "failed", "cancelled", "rolled-back")


class Orchestrated(Stores):
    """Three hosts (or fewer that run), two proxies that are peers, and an orchestrator beside each proxy."""

    def __init__(self, store="sqlite", hosts=("h1", "h2", "h3")):
        super().__init__()
        self.proxy_count = 2
        self.store = store
        self.first_hosts = hosts
        self.orchestrators = {}
        self.orchestrator_options = []
        self.events = []

    def start_store(self):
        if self.store == "etcd":
            self.start_etcd()
        if self.store == "postgresql":
            self.start_postgres()
        return self.url(self.store)

    def __enter__(self):
        super().__enter__()
        try:
            for host in self.first_hosts:
                self.start_dispatcher(host)
            self.start_peers()
            with open(self.path("tokens"), "w") as file:
                file.write(f"write tests {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
            self.listen_for_events()
            for i in range(2):
                self.start_orchestrator(i)
        except BaseException:
            self.__exit__(True, None, None)
            raise
        return self

    def start_orchestrator(self, i):
        self.orchestrators[i] = self.spawn(
            self.network.proxies[i], f"orchestrator-{i}", "env",
            f"PYTHONPATH={BIN}/../python:{HERE}/../../examples/orchestrator", "/usr/bin/python3", "-BPm", "orchestrator",
            "--cmdb", self.cmdb, "--listen", f"127.0.0.1:{PORT}", "--tokens", self.path("tokens"),
            "--cluster-key", self.path("cluster.key"), "--webhook", f"http://{self.network.proxy_address(0)}:{HOOK_PORT}/",
            "--claim-seconds", "3", *self.orchestrator_options)

        def healthy():
            self.ended(self.orchestrators[i])
            with contextlib.suppress(OSError):
                return self.call("GET", "/healthz", i=i)[0] == 200
            return False
        wait_until(healthy, f"orchestrator {i} is healthy", 30)

    def listen_for_events(self):
        listener = self.network.proxies[0].socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((self.network.proxy_address(0), HOOK_PORT))
        listener.listen(16)

        def serve():
            while True:
                connection, peer = listener.accept()
                with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
                    headers = http.client.parse_headers(stream) if stream.readline() else {}
                    event = json.loads(stream.read(int(headers.get("Content-Length", 0))))
                    status = self.posted(event, headers["Idempotency-Key"], peer[0])
                    connection.sendall(f"HTTP/1.1 {status} Taken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        threading.Thread(target=serve, daemon=True).start()

    def posted(self, event, _key, _peer):
        """The webhook was called; returns the status that it answers."""
        self.events.append((event["event"], event["host"]))
        return 204

    def call(self, method, path, body=None, i=0, headers=None):
        """(status, JSON or text, headers)."""
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        connection.sock = self.network.proxies[i].connect("127.0.0.1", PORT)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text, answer.headers
        finally:
            connection.close()

    def submit(self, kind, i=0, **parameters):
        status, job, _ = self.call("POST", f"/v1/jobs/{kind}", parameters, i)
        assert status == 202, job
        return job["name"]

    def job(self, name, i=0):
        status, job, _ = self.call("GET", f"/v1/jobs/{name}", i=i)
        assert status == 200, job
        return job

    def ended_as(self, name, state, i=0, seconds=120):
        job = wait_until(lambda: (lambda job: job if job["state"] in FINISHED else None)(self.job(name, i)), f"{name} ends", seconds)
        assert job["state"] == state, job
        return job

    def runs(self, name):
        """Which orchestrator has run a job, from its log."""
        return [i for i in self.orchestrators if f"{name} goes on here" in self.read(f"orchestrator-{i}.err")]

    def kill_orchestrator(self, i):
        os.kill(self.orchestrators[i].pid, signal.SIGKILL)
        self.orchestrators[i].wait()

    def sites(self, count, **spec):
        names = [f"site-{i}" for i in range(count)]
        self.apply({"specs": {name: {"class": "apache", **spec} for name in names},
                    "keys": {f"{name}.test": name for name in names}})
        for name in names:
            warm(self, name)
        return names

    def needed_starts(self, container):
        """Without those that were made ready on a suspicion (of a host on a machine that is too busy to answer) and ended again."""
        unneeded = f" {container} stopped: prepared, and not needed"
        return len(self.starts(container)) - sum(self.read(f"{host}.err").count(unneeded) for host in self.network.hosts)

    def environment(self, container):
        return json.loads(self.fcctl("get", "spec", container).stdout)["value"].get("environment", {})


class Loads:
    """One generator for each container, from before until after what happens; each counts what was due."""

    def __init__(self, cloud, names, seconds, rate=5):
        self.loads = [OpenLoop(cloud, name, rate=rate, seconds=seconds, log=cloud.path(f"load-{name}")) for name in names]

    def check(self):
        assert all(load.running() for load in self.loads), "the load ended too early"
        for load in self.loads:
            load.check()


def test_R60_a_rolling_update_of_20_containers_survives_its_orchestrator_and_fails_no_request():
    with Orchestrated() as cloud:
        names = cloud.sites(20)
        loads = Loads(cloud, names, seconds=75)
        job = cloud.submit("rolling", containers=names, patch={"environment": {"VERSION": "2"}})

        def ready():
            steps = cloud.job(job, 1).get("progress", {}).get("steps", [])
            return sum(step["state"] == "ready" for step in steps)
        wait_until(lambda: ready() >= 5, "a quarter is done", 60)
        first = cloud.runs(job)
        assert len(first) == 1, first
        other = 1 - first[0]
        cloud.kill_orchestrator(first[0])
        done = cloud.ended_as(job, "done", other)
        assert cloud.runs(job) == [0, 1], "the other one went on"
        assert [step["state"] for step in done["progress"]["steps"]] == ["ready"] * 20
        loads.check()
        for name in names:
            assert cloud.environment(name)["VERSION"] == "2"
            wait_until(lambda name=name: cloud.needed_starts(name) == 2, f"{name} was started twice: {cloud.starts(name)}")
            wait_until(lambda name=name: cloud.needed_starts(f"{name}.trial") <= 1, f"{name} had one trial at most")
        listed = [json.loads(line)["name"] for line in cloud.fcctl("list", "spec").stdout.splitlines()]
        assert sorted(listed) == sorted(names), "no trial is left"


def test_R60_a_version_that_never_becomes_ready_is_rolled_back_and_fails_no_request():
    with Orchestrated() as cloud:
        names = cloud.sites(4)
        placed = {name: cloud.placement(name) for name in names}
        loads = Loads(cloud, names, seconds=25, rate=20)
        bad = {"command": ["/bin/sleep", "1000"], "ready": {"timeout_s": 1}}
        job = cloud.ended_as(cloud.submit("rolling", containers=names, patch=bad, ready_s=20), "rolled-back")
        assert "does not become ready" in job["error"], job
        loads.check()
        for name in names:
            assert "command" not in json.loads(cloud.fcctl("get", "spec", name).stdout)["value"]
            assert cloud.placement(name) == placed[name], "nothing has moved"


def test_R27_a_drain_survives_its_orchestrator_and_fails_no_request():
    with Orchestrated(store="postgresql") as cloud:
        names = cloud.sites(9)
        host, _ = cloud.placement(names[0])
        loads = Loads(cloud, names, seconds=20, rate=20)
        job = cloud.submit("drain", host=host)
        first = wait_until(lambda: cloud.runs(job), "it is begun")[0]
        cloud.kill_orchestrator(first)
        cloud.ended_as(job, "done", 1 - first)
        assert host not in {cloud.placement(name)[0] for name in names}
        loads.check()


def test_R58_a_new_host_gets_no_more_containers_than_a_rebalance_may_move():
    with Orchestrated(hosts=("h1", "h2")) as cloud:
        names = cloud.sites(12)
        cloud.start_dispatcher("h3")
        loads = Loads(cloud, names, seconds=20, rate=10)
        before = {name: cloud.placement(name)[0] for name in names}
        job = cloud.ended_as(cloud.submit("rebalance", max_moves=3, tolerance=1.0), "done")
        after = {name: cloud.placement(name)[0] for name in names}
        plan = {container: target for container, _, target in job["progress"]["plan"]}
        assert len(plan) == 3 == job["progress"]["moved"] and set(plan.values()) == {"h3"}, job
        # A router may move them on, from a host that is too busy to answer; nothing else moves.
        assert {name for name in names if after[name] != before[name]} <= set(plan), (before, after, job)
        loads.check()


def test_R47_each_part_is_killed_in_turn_and_no_warm_request_fails():
    with Orchestrated(store="etcd") as cloud:
        names = cloud.sites(6)
        loads = Loads(cloud, names, seconds=60, rate=20)
        for i in (0, 1):
            cloud.kill_orchestrator(i)
            cloud.start_orchestrator(i)
        # A proxy's own clients are its load balancer's to move; the other proxy's do not notice.
        proxy = next(child for child in cloud.children if f"{cloud.path('proxy-1.json')}" in child.args)
        proxy.kill()
        host, _ = cloud.placement(names[0])
        cloud.kill(host, what=("dispatcher",))
        cloud.start_dispatcher(host)
        cloud.etcd.kill()
        cloud.etcd.wait()
        cloud.run_etcd(cloud.path("etcd"))
        assert not cloud.events, cloud.events
        cloud.kill(host)
        wait_until(lambda: cloud.events, "the loss is told", 40)
        cloud.start_dispatcher(host)
        wait_until(lambda: len(cloud.events) == 2, "the return is told", 40)
        loads.check()
        assert cloud.events == [("host-lost", host), ("host-back", host)], cloud.events


def test_a_thousand_containers_are_created_by_the_script():
    with Orchestrated() as cloud:
        with open(cloud.path("token"), "w") as file:
            file.write(TOKEN)

        def create():
            return cloud.network.proxy.run(
                "/usr/bin/python3", "-B", f"{HERE}/../../examples/orchestrator/create_containers.py",
                "--url", f"http://127.0.0.1:{PORT}", "--token-file", cloud.path("token"), "--class", "apache").stdout
        assert create() == "1000 created, 0 were there\n"
        assert create() == "0 created, 1000 were there\n"
        assert len(cloud.fcctl("list", "spec").stdout.splitlines()) == 1000
        warm(cloud, "site-999")
        assert 'orchestrator_host_up{host="h1"} 1' in cloud.call("GET", "/metrics")[1]
