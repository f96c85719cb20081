"""The CMDB in etcd: three members on machines of their own, which are lost one after the other."""
import signal

from cloud import Cloud, wait_until
from load import OpenLoop
from request_path import warm

MEMBERS = {"e1": "10.77.0.101", "e2": "10.77.0.102", "e3": "10.77.0.103"}
ENDPOINTS = ",".join(f"{address}:2379" for address in MEMBERS.values())


class EtcdCloud(Cloud):
    """Two proxies, each the other's peer, three hosts, three etcd members."""

    def __init__(self):
        super().__init__(hosts=3, proxies=2, start=False)
        self.members = {}
        self.machines = {}

    def start_store(self):
        for name, address in MEMBERS.items():
            self.machines[name] = self.network.add_server(name, address)
        for name in MEMBERS:
            self.start_member(name)
        wait_until(lambda: self.etcdctl("endpoint", "health").returncode == 0, "etcd has a leader", 30)
        return f"etcd://{ENDPOINTS}"

    def start_member(self, name):
        own = MEMBERS[name]
        cluster = ",".join(f"{member}=http://{address}:2380" for member, address in MEMBERS.items())
        self.members[name] = self.spawn(
            self.machines[name], name, "etcd", "--name", name, "--data-dir", self.path(f"{name}.etcd"),
            "--listen-client-urls", f"http://{own}:2379", "--advertise-client-urls", f"http://{own}:2379",
            "--listen-peer-urls", f"http://{own}:2380", "--initial-advertise-peer-urls", f"http://{own}:2380",
            "--initial-cluster", cluster, "--initial-cluster-state", "new", "--logger", "zap")

    def kill_member(self, name):
        self.members[name].send_signal(signal.SIGKILL)
        self.members[name].wait()

    def etcdctl(self, *words):
        return self.network.proxy.run("env", "ETCDCTL_API=3", "etcdctl", "--endpoints", ENDPOINTS, "--command-timeout=2s",
                                      *words, check=False)

    def start(self):
        for host in self.network.hosts:
            self.start_dispatcher(host)
        self.start_peers()


def cut_one_path(cloud, site):
    """One proxy alone loses the way to the site's host: it says so, and moves nothing; the other one serves."""
    placed = cloud.placement(site)
    cloud.network.cut_from_proxy(placed[0], 0)
    refused = cloud.request(f"{site}.test")
    assert refused.status == 503 and refused.headers["Retry-After"], (refused.status, refused.body)
    with cloud.through(1):
        warm(cloud, site, 20)
    assert cloud.placement(site) == placed, "its own path is broken, not the host"
    cloud.network.heal(placed[0])
    wait_until(lambda: cloud.request(f"{site}.test").status == 200, "the path is back")
    assert cloud.placement(site) == placed


def test_etcd_majority_is_lost_under_load_and_only_a_dead_host_s_container_waits():
    with EtcdCloud() as cloud:
        cloud.start()
        for number, site in enumerate(("one", "two")):
            cloud.site(site)
            cloud.fcctl("place", site, f"h{number + 1}")
            for i in range(2):
                with cloud.through(i):
                    warm(cloud, site)
        _, epoch = cloud.placement("two")
        loads = []
        for i in range(2):
            with cloud.through(i):
                loads.append(OpenLoop(cloud, "one", rate=100, seconds=30))
        cloud.kill_member("e1")
        for i in range(2):
            with cloud.through(i):
                warm(cloud, "two", 20)
        cloud.fcctl("place", "two", "h3")  # the store still writes
        assert cloud.placement("two") == ("h3", epoch + 1)
        for i in range(2):
            with cloud.through(i):
                warm(cloud, "two")
        cut_one_path(cloud, "two")

        cloud.kill_member("e2")
        wait_until(lambda: cloud.etcdctl("put", "/probe", "x").returncode != 0, "the majority is lost")
        for i in range(2):
            with cloud.through(i):
                warm(cloud, "two", 20)
        cloud.network.drop("h3")
        refused = cloud.request("two.test")
        assert refused.status == 503 and refused.headers["Retry-After"], (refused.status, refused.body)
        assert all(load.running() for load in loads), "the store was away for longer than the load lasts"

        cloud.start_member("e2")
        for i in range(2):
            with cloud.through(i):
                wait_until(lambda: cloud.request("two.test").status == 200, "it has moved to a live host", 30)
        host, now = cloud.placement("two")
        assert host in ("h1", "h2") and now == epoch + 2, (host, now)
        for load in loads:
            load.check()


def test_etcd_relocates_a_container_once():
    with EtcdCloud() as cloud:
        cloud.start()
        cloud.site("one")
        for i in range(2):
            with cloud.through(i):
                warm(cloud, "one")
        host, epoch = cloud.placement("one")
        loads = []
        for i in range(2):
            with cloud.through(i):
                loads.append(OpenLoop(cloud, "one", rate=100, seconds=6))
        cloud.network.drop(host)
        for load in loads:
            load.check()
        new_host, new_epoch = cloud.placement("one")
        assert new_host != host and new_epoch == epoch + 1, (host, epoch, new_host, new_epoch)
