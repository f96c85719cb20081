"""Who judges a host, and how often its containers move: several proxies, each of them the others' peer; or the CMDB, by heartbeat."""
import contextlib

from cloud import Cloud, wait_until
from load import Ab, OpenLoop, when_half_way
from request_path import warm

WON = "fastcontainer_swaps_total"


@contextlib.contextmanager
def two_proxies(hosts=3):
    with Cloud(hosts=hosts, proxies=2, start=False) as cloud:
        for host in cloud.network.hosts:
            cloud.start_dispatcher(host)
        cloud.start_peers()
        yield cloud


def swaps(cloud):
    return cloud.metric(WON)


def test_R62_two_proxies_find_a_host_dead_at_once_and_its_container_moves_once():
    with two_proxies() as cloud:
        cloud.site("one")
        before, loads = [], []
        for i in range(2):
            with cloud.through(i):
                warm(cloud, "one")
                before.append(swaps(cloud))
        host, epoch = cloud.placement("one")
        for i in range(2):
            with cloud.through(i):
                loads.append(Ab(cloud, "one", requests=15_000, concurrency=500))
        when_half_way(cloud, loads[0], 15_000)
        cloud.network.drop(host)
        for load in loads:
            load.check()
        new_host, new_epoch = cloud.placement("one")
        assert new_host != host and new_epoch == epoch + 1, (host, epoch, new_host, new_epoch)
        for i in range(2):
            with cloud.through(i):
                assert swaps(cloud) - before[i] <= 1, "one attempt for a process at most"
        assert len(cloud.starts("one")) == 2, cloud.starts("one")


def test_R62_a_proxy_that_alone_cannot_reach_a_host_moves_nothing():
    for direction in ("input", "output"):
        with two_proxies() as cloud:
            cloud.site("one")
            for i in range(2):
                with cloud.through(i):
                    warm(cloud, "one")
            placed = cloud.placement("one")
            cloud.network.cut_from_proxy(placed[0], 0, direction)
            with cloud.through(1):
                good = OpenLoop(cloud, "one", rate=100, seconds=4)
            refused = cloud.request("one.test")
            assert refused.status == 503 and refused.headers["Retry-After"], (refused.status, refused.body)
            good.check()
            assert cloud.placement("one") == placed, "its own path is broken, not the host"
            assert cloud.metric("fastcontainer_peer_vetoes_total") >= 1
            cloud.network.heal(placed[0])
            wait_until(lambda: cloud.request("one.test").status == 200, "the path is back")
            assert cloud.placement("one") == placed
            wait_until(lambda: cloud.container_count() == 1, "what was started on suspicion has ended")


def test_R62_the_loss_of_one_rack_of_three_moves_everything_on_it():
    with two_proxies(hosts=6) as cloud:
        names = [f"site-{i}" for i in range(12)]
        for i, name in enumerate(names):
            cloud.site(name)
            cloud.fcctl("place", name, f"h{1 + i % 6}")
        for i in range(2):
            with cloud.through(i):
                for name in names:
                    warm(cloud, name)
        for host in ("h1", "h2"):
            cloud.network.drop(host)
        for i in range(2):
            with cloud.through(i):
                for name in names:
                    warm(cloud, name)
        placed = {name: cloud.placement(name)[0] for name in names}
        assert not {"h1", "h2"} & set(placed.values()), placed
        for name in names[2:6]:
            assert cloud.placement(name)[0] == f"h{1 + names.index(name) % 6}", "what was elsewhere stays there"


def test_admission_by_heartbeat_moves_nothing_from_a_dispatcher_that_lives():
    with Cloud(proxy={"admission": "heartbeat", "timeouts": {"wait_ms": 20000}}) as cloud:
        cloud.site("one")
        warm(cloud, "one")
        placed = cloud.placement("one")
        cloud.network.drop(placed[0])  # the CMDB is a file here: its dispatcher keeps its lease
        refused = cloud.request("one.test")
        assert refused.status == 503 and refused.headers["Retry-After"], (refused.status, refused.body)
        assert cloud.placement("one") == placed
        cloud.network.heal(placed[0])
        wait_until(lambda: cloud.request("one.test").status == 200, "the host is back")
        assert cloud.placement("one") == placed and len(cloud.starts("one")) == 1
        # Now it is dead: what waits is answered when its lease has ended.
        load = OpenLoop(cloud, "one", rate=20, seconds=15)
        when_half_way(cloud, load, 100)
        cloud.network.drop(placed[0])
        cloud.kill(placed[0], what=("dispatcher",))
        load.check()
        host, epoch = cloud.placement("one")
        assert host != placed[0] and epoch == placed[1] + 1, (placed, host, epoch)
