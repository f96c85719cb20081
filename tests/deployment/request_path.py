"""R01 to R12 and R15: the request path."""
import concurrent.futures
import contextlib
import json
import subprocess
import threading
import time

from cloud import BIN, Cloud, wait_until
from load import Ab, OpenLoop, when_half_way
from netns import Network

DEADLINE_NS = 10_000_000  # the specs' default probe deadline
LIGHT = 3000              # requests where the load itself is not the subject


def warm(cloud, site, count=1):
    for _ in range(count):
        response = cloud.request(f"{site}.test")
        assert response.status == 200, (response.status, response.body)


def test_R01_one_lookup_one_probe_one_forward():
    with Cloud(proxy={"profile": "paper"}) as cloud:
        cloud.site("one")
        warm(cloud, "one", 2)
        host, _ = cloud.placement("one")
        cloud.network.count_echoes(host)
        forwards = len(cloud.read("run", "access.log").splitlines())
        names = ("fastcontainer_cmdb_reads_total", "fastcontainer_routes_total", "fastcontainer_probes_total",
                 "fastcontainer_swaps_total")
        before = [cloud.metric(name) for name in names]
        assert cloud.request("one.test", headers={"X-Request-Id": "traced"}).status == 200
        assert cloud.network.echoes(host) == 1
        wait_until(lambda: "traced" in cloud.read("run", "access.log"), "the container has logged it")
        assert len(cloud.read("run", "access.log").splitlines()) == forwards + 1
        reads, *others = [cloud.metric(name) - value for name, value in zip(names, before)]
        assert reads <= 1 and others == [1, 1, 0], (reads, others)
        wait_until(lambda: len(cloud.request_log()) == 3, "the proxy has logged it")
        assert cloud.request_log()[-1]["lookup_us"] == 0, "the cache was not used"


def test_R02_a_container_is_started_once():
    with Cloud() as cloud:
        cloud.site("one")
        warm(cloud, "one", 101)
        assert len(cloud.starts("one")) == 1, cloud.starts("one")


def test_R03_host_dropped_mid_load():
    with Cloud() as cloud:
        cloud.site("one")
        warm(cloud, "one")
        host, epoch = cloud.placement("one")
        load = Ab(cloud, "one")
        when_half_way(cloud, load, load.requests)
        cloud.network.drop(host)
        load.check()
        new_host, new_epoch = cloud.placement("one")
        assert new_host != host and new_epoch == epoch + 1, (host, epoch, new_host, new_epoch)
        assert len(cloud.starts("one")) == 2, cloud.starts("one")


def test_R03_every_container_of_a_lost_host_is_served_though_few_may_start_at_a_time():
    with Cloud(hosts=3, dispatcher={"max_starts": 1}) as cloud:
        names = [f"site{i}" for i in range(20)]
        for name in names:
            cloud.site(name)
            cloud.fcctl("place", name, "h1")
            warm(cloud, name)
        cloud.network.drop("h1")
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            answers = list(pool.map(lambda name: cloud.request(f"{name}.test").status, names))
        assert answers == [200] * len(names), answers
        assert {cloud.placement(name)[0] for name in names} == {"h2", "h3"}


def probe(network, address, count, *options):
    return json.loads(network.proxy.run(f"{BIN}/probe_many", *options, address, str(count)).stdout)


def test_R04_a_verdict_never_comes_before_its_deadline():
    with Network(1) as network:
        network.drop("h1")
        report = probe(network, network.address("h1"), 1000, "--deadline-ms", "10")
        assert report["verdicts"] == {"down_timeout": 1000}, report
        assert report["packets"] == 1000, report
        assert report["min_ns"] >= DEADLINE_NS, report


def test_R05_what_others_send_never_changes_a_verdict():
    with Network(2) as network, contextlib.ExitStack() as stack:
        dead, live = network.address("h1"), network.address("h2")
        # h1 does not hear what the prober asks, and yet the wire is full of replies, and of packets of its own.
        network.hosts["h1"].nft("table inet cut { chain input { type filter hook input priority -300; "
                                "icmp type echo-request drop\n}\n}\n")
        for source, target in ((network.proxy, live), (network.proxy, dead), (network.hosts["h1"], "10.77.0.1"),
                               (network.hosts["h2"], "10.77.0.1")):
            flood = subprocess.Popen([*source.enter(), "ping", "-qf", "-w", "60", target], stdout=subprocess.DEVNULL)
            stack.callback(flood.wait)
            stack.callback(flood.kill)
        report = probe(network, dead, 1000, "--concurrency", "50")
        assert report["verdicts"] == {"down_timeout": 1000}, report
        report = probe(network, live, 1000, "--concurrency", "50", "--deadline-ms", "1000")
        assert report["verdicts"] == {"up": 1000}, report


def relocate_once(concurrency, requests):
    with Cloud() as cloud:
        cloud.site("one")
        warm(cloud, "one")
        host, epoch = cloud.placement("one")
        swaps = cloud.metric("fastcontainer_swaps_total")  # the first placement's
        load = Ab(cloud, "one", requests=requests, concurrency=concurrency)
        when_half_way(cloud, load, load.requests)
        cloud.network.drop(host)
        load.check()
        assert cloud.placement("one")[1] == epoch + 1
        assert cloud.metric("fastcontainer_swaps_total") == swaps + 1, "more than one attempt"
        assert cloud.metrics()['fastcontainer_swaps_total{outcome="won"}'] == swaps + 1
        assert cloud.metric("fastcontainer_relocations_total") == 1
        assert len(cloud.starts("one")) == 2, cloud.starts("one")


def test_R06_ten_requests_share_one_relocation():
    relocate_once(concurrency=10, requests=LIGHT * 4)


def test_R06_a_thousand_requests_share_one_relocation():
    relocate_once(concurrency=1000, requests=LIGHT * 4)


def test_R07_a_hundred_requests_share_one_start():
    with Cloud() as cloud:
        cloud.site("one")
        Ab(cloud, "one", requests=100, concurrency=100).check()
        assert len(cloud.starts("one")) == 1, cloud.starts("one")


def test_R09_load_is_never_taken_for_death():
    with Cloud() as cloud:
        cloud.site("one")
        warm(cloud, "one")
        before = cloud.placement("one")
        hogs = [cloud.spawn(cloud.network.hosts[before[0]], "hog", "sh", "-c", "while :; do :; done")
                for _ in range(64)]
        try:
            OpenLoop(cloud, "one", rate=50, seconds=6).check()
        finally:
            for hog in hogs:
                hog.kill()
        assert cloud.placement("one") == before, cloud.placement("one")
        assert len(cloud.starts("one")) == 1


def test_R09_ten_thousand_verdicts_under_load():
    with Cloud(hosts=2) as cloud:
        for name in ("one", "two"):
            cloud.site(name)
            warm(cloud, name)
        cloud.fcctl("place", "one", "h1")
        cloud.fcctl("place", "two", "h2")
        for host in ("h1", "h2"):
            cloud.set_pressure(host, 95)  # as it is, but this machine's is masked in its hosts
        before = [cloud.placement(name) for name in ("one", "two")]
        hogs = [cloud.spawn(cloud.network.hosts["h1"], "hog", "sh", "-c", "while :; do :; done") for _ in range(64)]
        try:
            judged = cloud.network.proxy.run(f"{BIN}/judge_many", cloud.cmdb, cloud.path("cluster.key"), "10000",
                                             "one.test", "two.test", timeout=150)
        finally:
            for hog in hogs:
                hog.kill()
        verdicts = json.loads(judged.stdout)
        assert verdicts["down"] == verdicts["service_down"] == verdicts["failed"] == 0, verdicts
        assert verdicts["up"] >= 10_000 and verdicts["overloaded"] >= 1, verdicts
        assert [cloud.placement(name) for name in ("one", "two")] == before


def test_R09_an_overloaded_host_is_avoided_and_then_left():
    with Cloud() as cloud:
        for name in ("busy", "idle"):
            cloud.site(name)
            warm(cloud, name)
        host, _ = cloud.placement("busy")
        cloud.fcctl("place", "idle", host)
        warm(cloud, "idle")
        load = OpenLoop(cloud, "busy", rate=50, seconds=25)
        cloud.set_pressure(host, 95)
        wait_until(lambda: cloud.placement("busy")[0] != host, "its busiest container has moved", 22)
        names = [f"new-{i}" for i in range(5)]
        for name in names:
            cloud.site(name)
            warm(cloud, name)
        load.check()
        assert all(cloud.placement(name)[0] != host for name in names), [cloud.placement(name) for name in names]
        assert cloud.placement("idle")[0] == host, "what is idle need not move"
        assert "is down" not in cloud.read("proxy.err"), "load was taken for death"


def test_R10_a_slow_start_holds_up_nobody_else():
    with Cloud() as cloud:
        slow = cloud.apache_class()["environment"] | {"START_DELAY": "5"}
        cloud.site("quick")
        cloud.site("slow", environment=slow)
        warm(cloud, "quick")
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(cloud.request("slow.test").status))
        waiting.start()
        wait_until(lambda: cloud.starts("slow"), "the slow container is starting")
        for _ in range(200):  # each is asked and answered while the slow one is on its way
            assert cloud.request("quick.test").status == 200
            assert not answers, "the slow site was answered before its time"
        waiting.join(60)
        assert answers == [200], answers
        assert len(cloud.starts("slow")) == 1


def in_flight(cloud, method, identity, during, more=""):
    """Sends one slow request, and calls `during(host)` when the application has begun with it."""
    warm(cloud, "one")
    host, _ = cloud.placement("one")
    answers = []
    path = f"/slow.php?seconds=2&id={identity}{more}"
    thread = threading.Thread(target=lambda: answers.append(cloud.request("one.test", path, method)))
    thread.start()
    wait_until(lambda: cloud.executions(identity), "the application has begun")
    during(host)
    thread.join(60)
    return answers[0]


def test_R11_a_get_in_flight_is_sent_again_once():
    with Cloud() as cloud:
        cloud.site("one")
        answer = in_flight(cloud, "GET", "get", cloud.network.drop)
        executions = cloud.executions("get")
        assert answer.status == 200, answer.status
        assert len(executions) == 2 and len(set(executions)) == 2, executions
        assert answer.body.decode().strip() == executions[1], (answer.body, executions)


def test_R11_a_post_in_flight_is_never_sent_again():
    with Cloud() as cloud:
        cloud.site("one")
        answer = in_flight(cloud, "POST", "post", cloud.network.drop)
        assert answer.status == 502, answer.status
        assert len(cloud.executions("post")) == 1, cloud.executions("post")
        warm(cloud, "one")  # and the next request finds a new host
        assert len(cloud.executions("post")) == 1


def test_R11_a_page_that_breaks_off_while_its_begin_is_held_back_is_had_from_the_next_host():
    # Longer than by default, so that the host is lost in time whatever else this machine does.
    with Cloud(proxy={"timeouts": {"hold_ms": 20_000}}) as cloud:
        cloud.site("one")
        answer = in_flight(cloud, "GET", "page", cloud.network.drop, "&begin=title")
        executions = cloud.executions("page")
        assert len(set(executions)) == 2, executions
        assert answer.status == 200 and answer.headers["Transfer-Encoding"] == "chunked", (answer.status, answer.headers)
        assert answer.body.decode() == f"title\n{executions[1]}\n", answer.body


def test_R12_the_phases_of_a_relocation_are_told_and_in_order():
    # The time itself is benchmarks/run.sh relocation's; here: no verdict before its deadline, and nothing unaccounted.
    with Cloud() as cloud:
        cloud.site("one")
        warm(cloud, "one")
        host, _ = cloud.placement("one")
        cloud.network.drop(host)
        time.sleep(0.2)  # else a request may still be sent on the evidence of the last one, and waits in another phase
        warm(cloud, "one")
        moved = wait_until(lambda: [line for line in cloud.request_log() if line["reason"] == "relocated"],
                           "the proxy has logged it")
        assert len(moved) == 1, moved
        phases = moved[0]
        assert phases["host"] != host
        assert phases["probe_us"] >= DEADLINE_NS // 1000, phases
        assert phases["swap_us"] > 0 and phases["start_us"] > 0, phases
        parts = sum(phases.get(name, 0) for name in ("lookup_us", "probe_us", "swap_us", "start_us", "queue_us"))
        assert parts <= phases["total_us"], phases


def test_R15_the_user_sees_a_pause_not_an_error():
    with Cloud() as cloud:
        cloud.site("one")
        warm(cloud, "one")
        host, _ = cloud.placement("one")
        cloud.network.drop(host)
        curl = cloud.network.proxy.run("curl", "-sS", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}",
                                       "-H", "Host: one.test", "http://127.0.0.1:8080/", check=False)
        assert (curl.returncode, curl.stdout) == (0, "200"), (curl.returncode, curl.stdout, curl.stderr)
