"""The cluster key is changed while requests come: new one second, new one first, old one gone."""
import os
import secrets
import signal

from cloud import Cloud, wait_until
from load import REQUEST_COUNT, OpenLoop
from request_path import warm

REFUSED = 'fastcontainer_datagrams_refused_total{cause="bad_mac"}'
SECOND = "fastcontainer_datagrams_second_key_total"


class Keys(Cloud):
    """Each process has a key file of its own, as machines do."""

    def key_file(self, name):
        return self.path(f"{name}.key")

    def put_keys(self, name, *keys):
        """Beside the old one, and renamed: nobody reads half a file."""
        with open(self.key_file(name) + ".new", "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write("".join(key + "\n" for key in keys))
        os.rename(self.key_file(name) + ".new", self.key_file(name))

    def start_store(self):
        self.old, self.new = self.read("cluster.key").strip(), secrets.token_hex(32)
        for name in (*self.network.hosts, "proxy"):
            self.put_keys(name, self.old)
        return super().start_store()

    def dispatcher_config(self, host):
        return {**super().dispatcher_config(host), "cluster_key_file": self.key_file(host)}

    def proxy_config(self):
        return {**super().proxy_config(), "cluster_key_file": self.key_file("proxy")}

    def step(self, *keys):
        """Everywhere, one process after the other, the containers' dispatchers first and last in turn."""
        for name, process in (*self.dispatchers.items(), ("proxy", self.proxy)):
            self.put_keys(name, *keys)
            read = self.read(f"{name}.err").count("cluster key file read")
            process.send_signal(signal.SIGHUP)
            if name != "proxy":
                wait_until(lambda: self.read(f"{name}.err").count("cluster key file read") > read or self.ended(process),
                           f"{name} has read its key")
            self.serve(60)  # between any two of them
            if name != "proxy" and keys == (self.new, self.old):
                second = self.metric(SECOND)
                wait_until(lambda: self.metric(SECOND) > second, f"{name} speaks with what is the proxy's second key")

    def serve(self, requests):
        """Until the load has brought so many more."""
        begin = self.metric(REQUEST_COUNT)
        wait_until(lambda: self.metric(REQUEST_COUNT) - begin >= requests, f"{requests} more requests")


def test_a_new_cluster_key_under_load_costs_no_request():
    with Keys(hosts=2) as cloud:
        for number, site in enumerate(("one", "two")):
            cloud.site(site)
            cloud.fcctl("place", site, f"h{number + 1}")
            warm(cloud, site)
        placed = [cloud.placement(site) for site in ("one", "two")]
        loads = [OpenLoop(cloud, site, rate=100, seconds=16) for site in ("one", "two")]
        for keys in ((cloud.old, cloud.new), (cloud.new, cloud.old), (cloud.new,)):
            cloud.step(*keys)
        cloud.serve(200)  # what was still on its way has come
        second = cloud.metric(SECOND)
        cloud.put_keys("proxy", "nonsense")
        cloud.proxy.send_signal(signal.SIGHUP)
        wait_until(lambda: "the keys stay as they are" in cloud.read("proxy.err"), "the mistake is told")
        for load in loads:
            load.check()
        assert cloud.metrics()[REFUSED] == 0 and cloud.metric(SECOND) == second, cloud.metrics()
        assert [cloud.placement(site) for site in ("one", "two")] == placed, "no host was taken for lost"
        for site in ("one", "two"):  # questions, not only renewals
            for pid in cloud.containers(cloud.placement(site)[0]):
                os.kill(pid, signal.SIGKILL)
            assert cloud.request(f"{site}.test").status == 200


def test_a_host_that_was_forgotten_is_not_heard_and_comes_back():
    with Keys(hosts=2) as cloud:
        cloud.site("one")
        cloud.fcctl("place", "one", "h1")
        warm(cloud, "one")
        for process, name in ((cloud.dispatchers["h2"], "h2"), (cloud.proxy, "proxy")):
            cloud.put_keys(name, cloud.new)
            process.send_signal(signal.SIGHUP)
        wait_until(lambda: cloud.request("one.test") and cloud.metrics()[REFUSED] > 0, "h1 is not heard")
        cloud.put_keys("h1", cloud.new)
        cloud.dispatchers["h1"].send_signal(signal.SIGHUP)
        wait_until(lambda: cloud.request("one.test").status == 200, "all is well again", 40)
