"""R54: so many containers are kept, also when a host and an orchestrator are lost, and while their number changes under load."""
import json
import threading

from cloud import wait_until
from load import OpenLoop
from orchestrator import Loads, Orchestrated
from request_path import warm

SET = {"spec": {"class": "apache"}, "domain": "test", "drain_s": 6}


class Sets(Orchestrated):
    """With one set, `web`."""

    etag = None

    def scale(self, replicas, i=0):
        condition = {"If-Match": self.etag} if self.etag else {"If-None-Match": "*"}
        status, body, headers = self.call("PUT", "/v1/sets/web", {**SET, "replicas": replicas}, i, condition)
        assert status in (200, 201), body
        self.etag = headers["ETag"]

    def members(self, i=0):
        return {one["name"]: one for one in self.call("GET", "/v1/sets/web", i=i)[1]["members"]}

    def wait_ready(self, count, i=0, seconds=60):
        def look():
            found = self.members(i)
            return found if len(found) == count and all(one["ready"] for one in found.values()) else None
        return wait_until(look, f"{count} members answer", seconds)

    def records(self, kind):
        return {json.loads(line)["name"] for line in self.fcctl("list", kind).stdout.splitlines()}


def test_R54_the_members_of_a_dead_host_answer_elsewhere_before_anybody_asks():
    with Sets(hosts=("h1", "h2", "h3")) as cloud:
        cloud.scale(6)
        found = cloud.wait_ready(6)
        host = found["web-0"]["host"]
        lost = {name for name, one in found.items() if one["host"] == host}
        cloud.kill_orchestrator(0)
        cloud.kill(host)
        cloud.network.link_down(host)
        wait_until(lambda: host not in {one["host"] for one in cloud.members(1).values()}, "all are placed elsewhere", 60)
        cloud.wait_ready(6, 1)
        starts = {name: cloud.starts(name) for name in found}
        for name in found:
            due = 2 if name in lost else 1
            wait_until(lambda name=name, due=due: cloud.needed_starts(name) == due, f"{name} was started {due} times: {starts}")
            warm(cloud, name)
            assert cloud.starts(name) == starts[name], "it was ready for the first request"


def test_R54_a_set_grows_and_shrinks_under_load_and_no_request_fails():
    with Sets() as cloud:
        cloud.scale(3)
        kept = list(cloud.wait_ready(3))
        loads = Loads(cloud, kept, seconds=22, rate=20)
        cloud.scale(5, 1)
        cloud.wait_ready(5)
        slow = threading.Thread(target=lambda: answers.append(cloud.request("web-4.test", "/slow.php?seconds=8").status))
        answers = []
        slow.start()
        cloud.scale(3)
        wait_until(lambda: cloud.members()["web-4"]["state"] == "leaving", "the surplus is told")
        last = OpenLoop(cloud, "web-4", rate=50, seconds=2)
        last.check()
        assert cloud.members()["web-4"]["state"] == "leaving", "it serves as long as load balancers need to see it"
        cloud.wait_ready(3, 1)
        assert cloud.records("spec") == set(kept) and cloud.records("key") == {f"{name}.test" for name in kept}
        slow.join()
        assert answers == [200], "what was under way has ended by itself"
        wait_until(lambda: cloud.container_count() == 3, "the surplus has ended", 40)
        loads.check()
        for name in kept:
            wait_until(lambda name=name: cloud.needed_starts(name) == 1, f"{name} was started once: {cloud.starts(name)}")
