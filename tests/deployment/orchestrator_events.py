"""R69: one notification for each event, whoever is killed; a receiver that is told twice can tell it by the id."""
import json

from cloud import wait_until
from orchestrator import Orchestrated


class Events(Orchestrated):
    """`answer(event, i)` gives the status of the webhook's answer to orchestrator i."""

    def __init__(self, **options):
        super().__init__(**options)
        self.posts = []
        self.answer = lambda event, i: 204

    def posted(self, event, key, peer):
        i = [self.network.proxy_address(i) for i in range(2)].index(peer)
        status = self.answer(event, i)
        self.posts.append((event, key, i, status))
        return status

    def accepted(self):
        """What a receiver that drops repeated ids has."""
        return list({event["id"]: (event["event"], event["host"]) for event, _, _, status in self.posts if status < 300}.values())

    def notifications(self, i):
        return {job["name"]: job for job in self.call("GET", "/v1/jobs?kind=notify", i=i)[1]["items"]}

    def numbers(self, i):
        lines = self.call("GET", "/metrics", i=i)[1].splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_R69_an_event_is_told_once_also_when_its_orchestrator_is_killed_before_or_while_it_tells():
    with Events() as cloud:
        told = 'orchestrator_jobs_ended_total{kind="notify",state="done"}'

        # Killed between the detection and a receiver that takes it: the other one tells.
        cloud.answer = lambda event, i: 503
        cloud.kill("h1")
        first = wait_until(lambda: cloud.posts and cloud.posts[0], "the loss is found", 40)[2]
        cloud.kill_orchestrator(first)
        other = 1 - first
        assert cloud.numbers(other)['orchestrator_host_up{host="h1"}'] == 0
        cloud.answer = lambda event, i: 204
        lost, = cloud.notifications(other)
        cloud.ended_as(lost, "done", other)
        assert cloud.accepted() == [("host-lost", "h1")]
        assert {(event["id"], key) for event, key, _, _ in cloud.posts} == {(lost, lost)}, cloud.posts
        assert cloud.runs(lost) == [0, 1] and cloud.posts[-1][2] == other
        assert cloud.numbers(other)[told] == 1
        cloud.start_orchestrator(first)

        # Killed when the receiver has it, before that is written: it is told again, under the same id.
        seen = len(cloud.posts)
        killed = []

        def kill_first(_event, i):
            if not killed:
                killed.append(i)
                cloud.kill_orchestrator(i)
            return 204
        cloud.answer = kill_first
        cloud.start_dispatcher("h1")
        wait_until(lambda: len(cloud.posts) == seen + 2, "the return is told, and told again", 40)
        last = 1 - killed[0]
        back, = cloud.notifications(last).keys() - {lost}
        cloud.ended_as(back, "done", last)
        repeated = cloud.posts[seen:]
        assert [event for event, _, _, _ in repeated] == [repeated[0][0]] * 2, repeated
        assert [key for _, key, _, _ in repeated] == [back] * 2 and [i for _, _, i, _ in repeated] == [killed[0], last]
        assert cloud.accepted() == [("host-lost", "h1"), ("host-back", "h1")], json.dumps(cloud.posts)
        assert cloud.numbers(last)['orchestrator_host_up{host="h1"}'] == 1
        assert cloud.numbers(last)['orchestrator_jobs{kind="notify",state="done"}'] == 2
        assert len(cloud.posts) == seen + 2 and len(cloud.notifications(last)) == 2


def test_R69_two_orchestrators_tell_each_of_many_events_once():
    with Events() as cloud:
        hosts = list(cloud.network.hosts)
        for host in hosts:
            cloud.kill(host)
        wait_until(lambda: len(cloud.accepted()) == 3, "all losses are told", 40)
        for host in hosts:
            cloud.start_dispatcher(host)
        wait_until(lambda: len(cloud.accepted()) == 6, "all returns are told", 40)
        assert len(cloud.posts) == 6, cloud.posts
        assert sorted(cloud.accepted()) == sorted((f"host-{what}", host) for what in ("lost", "back") for host in hosts)
        wait_until(lambda: sum(cloud.numbers(i).get('orchestrator_jobs_ended_total{kind="notify",state="done"}', 0)
                               for i in range(2)) == 6, "each is counted once, by the one that has told it")
        assert len(cloud.notifications(0)) == 6
