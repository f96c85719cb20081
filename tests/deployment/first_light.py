"""The paper's run, and every other way to lose a host: not one failed request."""
import os
import signal

from cloud import BIN, Cloud, wait_until
from load import Ab, OpenLoop, REQUESTS, Wrk, when_half_way

PAPER_REQUESTS = 100_000


def begin(cloud):
    cloud.site("one")
    assert cloud.request("one.test").status == 200


def check_one_move(cloud, before, starts):
    host, epoch = cloud.placement("one")
    assert host != before[0] and epoch == before[1] + 1, (before, host, epoch)
    assert len(cloud.starts("one")) == starts + 1, cloud.starts("one")


def under_load(cut, check=check_one_move, rounds=("ab", "openloop")):
    """Cuts the container's host in the middle of a load; then, on what is left, again under the next load."""
    with Cloud(hosts=len(rounds) + 1) as cloud:
        begin(cloud)
        for kind in rounds:
            before, starts = cloud.placement("one"), len(cloud.starts("one"))
            if kind == "ab":
                load, requests = Ab(cloud, "one"), REQUESTS
            else:
                load, requests = OpenLoop(cloud, "one", rate=500, seconds=4), 2000
            when_half_way(cloud, load, requests)
            cut(cloud, before[0])
            load.check()
            check(cloud, before, starts)


def the_paper(concurrency):
    with Cloud() as cloud:
        begin(cloud)
        before = cloud.placement("one")
        load = Ab(cloud, "one", requests=PAPER_REQUESTS, concurrency=concurrency)
        when_half_way(cloud, load, PAPER_REQUESTS)
        cloud.network.drop(before[0])
        load.check()
        check_one_move(cloud, before, 1)
        # The first placement and the relocation: one attempt each, and it won.
        assert cloud.metric("fastcontainer_swaps_total") == 2
        assert cloud.metrics()['fastcontainer_swaps_total{outcome="won"}'] == 2


def test_paper_run_at_concurrency_10():
    the_paper(10)


def test_paper_run_at_concurrency_1000():
    the_paper(1000)


def test_paper_run_with_kept_connections():
    with Cloud() as cloud:
        begin(cloud)
        before = cloud.placement("one")
        load = Wrk(cloud, "one", seconds=6)
        when_half_way(cloud, load, 5000)
        cloud.network.drop(before[0])
        load.check()
        check_one_move(cloud, before, 1)


def test_cut_by_drop():
    under_load(lambda cloud, host: cloud.network.drop(host), rounds=("openloop", "openloop"))


def test_cut_by_drop_of_incoming_packets_only():
    under_load(lambda cloud, host: cloud.network.drop(host, directions=("input",)), rounds=("openloop",))


def test_cut_by_drop_of_outgoing_packets_only():
    under_load(lambda cloud, host: cloud.network.drop(host, directions=("output",)), rounds=("openloop",))


def test_cut_on_the_bridge():
    under_load(lambda cloud, host: cloud.network.bridge_drop(host))


def test_cut_by_link_down():
    under_load(lambda cloud, host: cloud.network.link_down(host))


def test_cut_by_reject():
    under_load(lambda cloud, host: cloud.network.reject(host))


def test_sigkill_of_dispatcher_and_container():
    under_load(lambda cloud, host: cloud.kill(host))


def test_sigstop_of_everything_on_the_host():
    under_load(lambda cloud, host: cloud.kill(host, sig=signal.SIGSTOP))


def check_fresh_start_there(cloud, before, starts):
    assert cloud.placement("one")[0] == before[0], (before, cloud.placement("one"))
    assert len(cloud.starts("one")) == starts + 1, cloud.starts("one")
    assert cloud.starts("one")[-1] == cloud.network.address(before[0])


def test_sigkill_of_the_container_alone():
    for kind in ("ab", "openloop"):
        under_load(lambda cloud, host: cloud.kill(host, ("containers",)), check_fresh_start_there, rounds=(kind,))


def test_a_download_goes_on_from_the_next_host():
    with Cloud(hosts=2) as cloud:
        content = os.urandom(32 << 20)
        with open(cloud.path("site", "large"), "wb") as file:
            file.write(content)
        os.utime(cloud.path("site", "large"), (0, 10 ** 9))  # the ETag of a file that is still being written would be weak
        begin(cloud)
        before, got = cloud.placement("one"), cloud.path("large")
        # So slow that most of it is still to come when the host is cut off.
        client = cloud.spawn(cloud.network.proxy, "curl", "curl", "-s", "-S", "-f", "--limit-rate", "12M", "-o", got,
                             "-H", "Host: one.test", "http://127.0.0.1:8080/large")
        wait_until(lambda: os.path.exists(got) and os.path.getsize(got) > 4 << 20, "some of it has come")
        cloud.network.drop(before[0])
        assert client.wait(60) == 0, cloud.read("curl.err")
        with open(got, "rb") as file:
            assert file.read() == content, "it is not what the server has"
        check_one_move(cloud, before, 1)
        entry = wait_until(lambda: [entry for entry in cloud.request_log() if entry["target"] == "/large"], "the proxy has logged it")[0]
        assert entry["status"] == 200 and entry["attempts"] > 1 and entry["bytes_out"] == len(content), entry


def check_nothing_happened(cloud, before, starts):
    assert cloud.placement("one") == before, (before, cloud.placement("one"))
    assert len(cloud.starts("one")) == starts, cloud.starts("one")


def test_sigkill_of_the_dispatcher_alone():
    def kill_and_restart(cloud, host):
        cloud.kill(host, ("dispatcher",))
        cloud.dispatchers[host].wait()
        cloud.start_dispatcher(host)

    under_load(kill_and_restart, check_nothing_happened)


def test_sigkill_of_the_dispatcher_that_stays_away():
    # The container answers, so that its host is not dead; leases of 5 s run out under the load.
    def check(cloud, before, starts):
        OpenLoop(cloud, "one", rate=200, seconds=8).check()
        check_nothing_happened(cloud, before, starts)

    under_load(lambda cloud, host: cloud.kill(host, ("dispatcher",)), check, rounds=("openloop",))


def test_sigterm_leaves_the_containers_and_the_next_dispatcher_adopts_them():
    def restart(cloud, host):
        cloud.dispatchers[host].terminate()
        assert cloud.dispatchers[host].wait(10) == 0
        cloud.start_dispatcher(host)

    under_load(restart, check_nothing_happened, rounds=("openloop",))


def test_embed_on_one_machine():
    with Cloud(hosts=1, start=False) as cloud:
        os.makedirs(cloud.path("state", "local"))
        cloud.site("one")
        # One machine and no key: a dispatcher on loopback, configured by flags.
        cloud.spawn(cloud.network.proxy, "local", f"{BIN}/fc-dispatcher", "--host", "local", "--cmdb", cloud.cmdb,
                    "--address", "127.0.0.1", "--state", cloud.path("state", "local"))
        wait_until(lambda: "ready" in cloud.read("local.out"), "the dispatcher is ready")
        found = cloud.network.proxy.run(f"{BIN}/embed", cloud.cmdb, "one.test").stdout
        assert "200 OK" in found and "hello, world!" in found, found
        assert cloud.network.proxy.run(f"{BIN}/embed", cloud.cmdb, "unknown.test", check=False).returncode == 1
        assert len(cloud.starts("one")) == 1


def test_both_roles_in_one_process():
    with Cloud(hosts=1, start=False) as cloud:
        os.makedirs(cloud.path("state", "local"))
        cloud.site("one")
        config = cloud.proxy_config()
        del config["cluster_key_file"]
        config["dispatcher"] = {"host": "local", "address": "127.0.0.1", "state_directory": cloud.path("state", "local")}
        cloud.proxy = cloud.spawn(cloud.network.proxy, "proxy", f"{BIN}/fc-proxy", "--with-dispatcher", "--config",
                                  cloud.write_config("proxy.json", config))
        wait_until(cloud.healthy, "the proxy is healthy")
        Ab(cloud, "one", requests=1000).check()
        assert len(cloud.starts("one")) == 1
