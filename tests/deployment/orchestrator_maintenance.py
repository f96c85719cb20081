"""R52: each host in turn is emptied, taken down and brought back, under load through both proxies, and no request fails."""
import datetime

from cloud import wait_until
from load import OpenLoop
from orchestrator import Orchestrated
from request_path import warm

HOSTS = ("h1", "h2", "h3")


def placed(cloud, names):
    return {name: cloud.placement(name)[0] for name in names}


def listening(cloud, host):
    """Addresses of containers that run on a host, whatever the CMDB says."""
    return [line.split()[3] for line in cloud.network.hosts[host].run("ss", "-Hltn").stdout.splitlines()
            if line.split()[3].startswith(cloud.network.address(host))]


def set_admin(cloud, host, admin):
    """As an operator does, by the revision that was read: a dispatcher that starts writes the same record."""
    def written():
        _, _, headers = cloud.call("GET", f"/v1/hosts/{host}")
        return cloud.call("PATCH", f"/v1/hosts/{host}", {"admin": admin}, headers={"If-Match": headers["ETag"]})[0] == 200
    wait_until(written, f"{host} is {admin}")


def check_running(loads):
    assert all(load.running() for load in loads), "the load ended too early"


def test_R52_each_host_is_taken_down_in_turn_for_maintenance_and_no_request_fails():
    with Orchestrated() as cloud:
        names = cloud.sites(6)
        loads = []
        for i in range(2):
            with cloud.through(i):
                loads += [OpenLoop(cloud, name, rate=10, seconds=35) for name in names]
        for turn, host in enumerate(HOSTS):
            soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
            job = cloud.submit("drain", i=turn % 2, host=host, not_before=soon.isoformat())
            cloud.ended_as(job, "done", i=turn % 2)
            assert host not in placed(cloud, names).values()
            wait_until(lambda host=host: not listening(cloud, host), f"what ran on {host} has ended", 40)
            # Down for real: its dispatcher, whatever else it ran, and its network.
            cloud.kill(host)
            cloud.network.link_down(host)
            cloud.dispatchers[host].wait()
            check_running(loads)
            assert host not in placed(cloud, names).values()
            cloud.network.link_up(host)
            cloud.start_dispatcher(host)
            # It is back, and still in maintenance: also what is new is placed elsewhere.
            for i in range(4):
                cloud.site(f"new-{turn}-{i}")
                warm(cloud, f"new-{turn}-{i}")
                assert cloud.placement(f"new-{turn}-{i}")[0] != host
            assert host not in placed(cloud, names).values() and not listening(cloud, host)
            set_admin(cloud, host, "up")
        check_running(loads)
        for load in loads:
            load.check()
