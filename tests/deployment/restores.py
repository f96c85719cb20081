"""A store that is put back by its own tools under running proxies and dispatchers (docs/cmdb.md, "Backups"), and a proxy
that starts from its own snapshot while the store is away."""
import contextlib
import glob
import json
import signal

from cloud import Cloud, wait_until
from load import OpenLoop, when_half_way
from request_path import warm
from single import PATIENT, check_one_writer, single
from stores import ETCD, POSTGRES, Stores

SITES = ("one", "two", "three")


class EtcdStore(Stores):
    """A cluster of one member, put back from its snapshot."""

    def __init__(self, **options):
        super().__init__()
        self.proxy_options = options

    def start_store(self):
        self.start_etcd()
        return self.url("etcd")

    def etcdctl(self, *words, **options):
        return self.network.proxy.run("env", "ETCDCTL_API=3", "etcdctl", "--endpoints", f"{ETCD}:2379", *words, **options)

    def back_up(self):
        self.etcdctl("snapshot", "save", self.path("snapshot"))

    def stop_store(self):
        self.etcd.send_signal(signal.SIGTERM)
        self.etcd.wait(timeout=20)

    def put_back(self):
        """The same endpoint, and all revisions after the snapshot are given out again."""
        self.stop_store()
        self.etcdctl("snapshot", "restore", self.path("snapshot"), "--name", "e1", "--data-dir", self.path("etcd-restored"),
                     "--initial-cluster", f"e1=http://{ETCD}:2380", "--initial-advertise-peer-urls", f"http://{ETCD}:2380")
        self.run_etcd(self.path("etcd-restored"))
        wait_until(lambda: self.etcdctl("endpoint", "health", check=False).returncode == 0, "etcd serves", 30)

    @contextlib.contextmanager
    def nobody_else(self):
        """Only who is on the store's own machine reaches it."""
        machine, before = self.etcd_machine, self.network.proxy
        machine.nft("table inet alone { chain input { type filter hook input priority -300; iif lo accept; drop\n}\n}\n")
        self.network.proxy = machine
        try:
            yield
        finally:
            self.network.proxy = before
            machine.nft("delete table inet alone\n")


class PostgresStore(Stores):
    def start_store(self):
        self.start_postgres()
        return self.url("postgresql")

    def tool(self, name, *words):
        program = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))[-1]
        return self.network.proxy.run(program, "-h", POSTGRES, "-U", "admin", *words)

    def back_up(self):
        self.tool("pg_dump", "--format=custom", "--schema=one", "--file", self.path("dump"), "postgres")

    def put_back(self):
        """Into the database that everybody is connected to."""
        self.tool("pg_restore", "--clean", "--if-exists", "--single-transaction", "--dbname=postgres", self.path("dump"))


def move(cloud, site, times=1):
    """To another host and on, so that the epoch of its placement rises."""
    for _ in range(times):
        before, _ = cloud.placement(site)
        cloud.fcctl("place", site, next(host for host in cloud.network.hosts if host != before))
        warm(cloud, site)


def change_after_backup(cloud):
    """What the backup has of it, and what there was at the end: {site: (host, epoch)} of each."""
    for site in SITES:
        cloud.site(site)
        warm(cloud, site)
    cloud.site("gone")
    warm(cloud, "gone")
    cloud.back_up()
    kept = {site: cloud.placement(site) for site in SITES}
    cloud.site("later")
    warm(cloud, "later")
    cloud.fcctl("delete", "spec", "gone")
    for times, site in enumerate(SITES):
        move(cloud, site, 2 * times + 1)
    return kept, {site: cloud.placement(site) for site in SITES}


def check_all_is_as_the_backup_has_it(cloud, kept):
    for site in SITES:
        warm(cloud, site, 20)
        assert cloud.placement(site)[0] == kept[site][0], (site, kept[site], cloud.placement(site))
    wait_until(lambda: cloud.request("later.test").status == 404, "what came after the backup is gone")
    wait_until(lambda: cloud.request("gone.test").status == 200, "the backup still had it")
    wait_until(lambda: cloud.container_count() == len(SITES) + 1, "each runs once", 40)


def check_epochs_rose(cloud, last):
    for site in SITES:
        assert cloud.placement(site)[1] > last[site][1], (site, last[site], cloud.placement(site))


def check_all_goes_on(cloud):
    """As on a store with which nothing ever was."""
    for site in SITES:
        before = cloud.placement(site)
        move(cloud, site)
        assert cloud.placement(site)[1] == before[1] + 1, (before, cloud.placement(site))
    cloud.site("new")
    warm(cloud, "new")
    host, epoch = cloud.placement("one")
    cloud.network.drop(host)
    wait_until(lambda: cloud.request("one.test").status == 200, "it has left the host that is gone", 30)
    assert cloud.placement("one")[0] != host and cloud.placement("one")[1] == epoch + 1, (host, epoch)
    cloud.network.heal(host)


def put_back_under_load(cloud, then):
    cloud.start()
    cloud.start_proxy()
    kept, last = change_after_backup(cloud)
    loads = [OpenLoop(cloud, site, rate=50, seconds=14) for site in SITES]
    when_half_way(cloud, loads[0], 300)
    cloud.put_back()
    then()
    for load in loads:
        load.check()
    check_all_is_as_the_backup_has_it(cloud, kept)
    return last


def test_restores_etcd_snapshot_under_load():
    with EtcdStore() as cloud:
        last = put_back_under_load(cloud, lambda: cloud.fcctl("restored"))
        check_epochs_rose(cloud, last)
        check_all_goes_on(cloud)


def test_restores_postgresql_dump_under_load():
    with PostgresStore() as cloud:
        last = put_back_under_load(cloud, lambda: cloud.fcctl("restored"))
        check_epochs_rose(cloud, last)
        check_all_goes_on(cloud)


def test_restores_etcd_snapshot_and_nobody_says_so_until_much_later():
    with EtcdStore() as cloud:
        last = put_back_under_load(cloud, lambda: None)
        assert cloud.placement("three")[1] < last["three"][1], "the epochs are those of the backup"
        check_all_goes_on(cloud)
        cloud.fcctl("restored")
        check_epochs_rose(cloud, last)
        for site in SITES:
            warm(cloud, site, 20)
        wait_until(lambda: cloud.container_count() == len(SITES) + 2, "each runs once", 40)


def test_restores_etcd_snapshot_with_nobody_else_there_and_single_has_one_writer():
    with EtcdStore(**PATIENT) as cloud:
        cloud.start()
        cloud.start_proxy()
        single(cloud, "one")
        warm(cloud, "one")
        kept, first = cloud.placement("one")
        cloud.back_up()
        cloud.fcctl("place", "one", "h2" if kept != "h2" else "h3")
        wait_until(lambda: cloud.request("one.test").status == 200, "it has moved", 60)
        _, second = cloud.placement("one")
        load = OpenLoop(cloud, "one", rate=20, seconds=15)
        when_half_way(cloud, load, 60)
        with cloud.nobody_else():
            cloud.put_back()
            cloud.fcctl("restored")
        load.check()
        _, third = cloud.placement("one")  # anywhere: no host takes it until it has told that its own copy has ended
        assert third > second, (second, third)
        check_one_writer(cloud, first, second, third)


def restart_proxy(cloud, sig):
    cloud.proxy.send_signal(sig)
    cloud.proxy.wait(timeout=20)
    cloud.start_proxy()


def test_restores_a_proxy_from_its_snapshot_while_etcd_is_away():
    with EtcdStore() as cloud:
        cloud.proxy_options = {"snapshot": cloud.path("snapshot.fc")}
        cloud.start()
        cloud.start_proxy()
        for site in SITES:
            cloud.site(site)
            warm(cloud, site)
        placed = {site: cloud.placement(site) for site in SITES}
        restart_proxy(cloud, signal.SIGTERM)  # it has written its snapshot
        warm(cloud, "one")
        cloud.stop_store()
        for sig in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
            restart_proxy(cloud, sig)
            loads = [OpenLoop(cloud, site, rate=100, seconds=2) for site in SITES]
            for load in loads:
                load.check()
            refused = cloud.request("nobody.test")
            assert refused.status == 503 and refused.headers["Retry-After"], (refused.status, refused.body)
        assert len(cloud.starts("one")) == 1, "nothing was started anew"
        loads = [OpenLoop(cloud, site, rate=50, seconds=8) for site in SITES]
        when_half_way(cloud, loads[0], 300)
        cloud.run_etcd(cloud.path("etcd"))
        wait_until(lambda: cloud.request("nobody.test").status == 404, "etcd is asked again", 30)
        for load in loads:
            load.check()
        assert {site: cloud.placement(site) for site in SITES} == placed
        check_all_goes_on(cloud)
