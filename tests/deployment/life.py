"""R15 to R17 and R27: containers stop when nobody needs them, and move when they are told to. What fcctl does to records."""
import datetime
import json
import threading
import time

from cloud import Cloud, wait_until
from forged import Wire
from load import Ab, OpenLoop, when_half_way


def test_R16_an_idle_container_stops_and_the_next_request_starts_it():
    with Cloud() as cloud:
        cloud.site("one", keep_alive={"idle_s": 2})
        begin = time.monotonic()
        assert cloud.request("one.test").status == 200
        wait_until(lambda: cloud.container_count() == 0, "it has stopped", 30)
        assert time.monotonic() - begin >= 2, "it stopped before its time"
        assert cloud.request("one.test").status == 200
        assert len(cloud.starts("one")) == 2, cloud.starts("one")
        assert cloud.placement("one")[1] == 1, "stopping is no relocation"


def test_R16_a_fixed_life_ends_under_load_and_no_request_fails():
    with Cloud() as cloud:
        cloud.site("one", keep_alive={"idle_s": 300, "life_s": 2})
        assert cloud.request("one.test").status == 200
        OpenLoop(cloud, "one", rate=200, seconds=7).check()
        assert len(cloud.starts("one")) >= 3, cloud.starts("one")
        assert cloud.placement("one")[1] == 1, "the end of a life is no relocation"
        wait_until(lambda: cloud.container_count() == 0, "nobody asks, so it is not started again", 30)


def times(cloud, host, *words):
    """When the dispatcher of a host wrote a line with one of these words."""
    return [datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00"))
            for line in cloud.read(f"{host}.err").splitlines() if any(some in line for some in words)]


def test_R15_a_container_killed_twice_is_a_pause_and_no_error():
    with Cloud() as cloud, Wire(cloud.network) as wire:
        cloud.site("one")
        assert cloud.request("one.test").status == 200
        before = cloud.placement("one")
        host = before[0]
        load = OpenLoop(cloud, "one", rate=200, seconds=12)
        for kill in (1, 2):
            when_half_way(cloud, load, 400)
            waits = len(wire.caught["WAIT"])
            cloud.kill(host, what=("containers",))
            wait_until(lambda: len(times(cloud, host, "one ready")) == kill + 1, "it is started again")
            assert load.running(), "the load ended before the restart"
        assert len(wire.caught["WAIT"]) > waits, "the requests of the second restart were told to wait"
        load.check()
        # The one or the other sees it first, the dispatcher's SIGCHLD or a request's refused connection.
        ended = times(cloud, host, "one ended by itself", "one stopped: it refuses")
        started = times(cloud, host, "one started")
        assert len(ended) == 2 and (ended[1] - started[1]).total_seconds() < 10, (ended, started)
        # The first death is free; after the second so soon comes the first back-off, 100 ms (stamps are cut to 1 ms).
        assert (started[2] - ended[1]).total_seconds() >= 0.099, (ended, started)
        assert len(cloud.starts("one")) == 3, cloud.starts("one")
        assert cloud.placement("one") == before, "the end of a container is no relocation"
        assert cloud.container_count() == 1


def test_R17_no_stop_under_a_download():
    with Cloud() as cloud:
        cloud.site("one", keep_alive={"idle_s": 1})
        answers = []
        download = threading.Thread(
            target=lambda: answers.append(cloud.request("one.test", "/stream.php?seconds=6")))
        download.start()
        download.join(60)
        assert answers[0].status == 200 and answers[0].body.endswith(b"line 60 of 60\n"), answers[0].body[-40:]
        assert len(cloud.starts("one")) == 1, cloud.starts("one")
        wait_until(lambda: cloud.container_count() == 0, "it stops afterwards", 30)


def test_R17_no_stop_under_pending_work():
    with Cloud() as cloud:
        cloud.site("one", keep_alive={"idle_s": 1})
        assert cloud.request("one.test", "/slow.php?seconds=4&id=pending").status == 200
        assert len(cloud.starts("one")) == 1 and len(cloud.executions("pending")) == 1


def test_R27_drain_moves_everything_under_load():
    with Cloud() as cloud:
        names = [f"site-{i}" for i in range(6)]
        cloud.apply({"specs": {name: {"class": "apache"} for name in names},
                     "keys": {f"{name}.test": name for name in names}})
        for name in names:
            assert cloud.request(f"{name}.test").status == 200
        host, _ = cloud.placement(names[0])
        loads = [Ab(cloud, names[0]), OpenLoop(cloud, names[0], rate=100, seconds=5)]
        when_half_way(cloud, loads[0], loads[0].requests)
        cloud.fcctl("drain", host)
        for load in loads:
            load.check()
        for name in names:
            assert cloud.placement(name)[0] != host, name
            assert cloud.request(f"{name}.test").status == 200
        wait_until(lambda: not cloud.containers(host), "nothing is left on the drained host", 30)
        cloud.fcctl("undrain", host)
        cloud.fcctl("place", names[0], host)
        assert cloud.request(f"{names[0]}.test").status == 200
        assert cloud.placement(names[0])[0] == host


def test_R27_an_edit_of_the_cmdb_moves_a_container():
    with Cloud() as cloud:
        cloud.site("one")
        assert cloud.request("one.test").status == 200
        load = Ab(cloud, "one")
        for _ in range(3):
            host, epoch = cloud.placement("one")
            target = next(name for name in cloud.network.hosts if name != host)
            cloud.fcctl("place", "one", target)
            assert cloud.request("one.test", "/slow.php").body.decode().strip() == cloud.network.address(target)
            assert cloud.placement("one") == (target, epoch + 1)
        load.check()
        wait_until(lambda: cloud.container_count() == 1, "one copy is left", 30)


def test_records_are_applied_kept_and_deleted():
    with Cloud() as cloud:
        def apply(records):
            return [json.loads(line)["result"] for line in cloud.apply(records).stdout.splitlines()]

        def get(kind, name):
            return json.loads(cloud.fcctl("get", kind, name).stdout)["value"]

        site = {"specs": {"one": {"class": "apache"}}, "keys": {"one.test": "one"}}
        assert apply(site) == ["created", "created"]
        assert apply(site) == ["unchanged", "unchanged"]
        site["specs"]["one"]["concurrency"] = 8
        assert apply(site) == ["updated", "unchanged"]
        assert cloud.request("one.test").status == 200
        before = get("host", "h1")
        assert apply({"hosts": {"h1": {"labels": {"zone": "a"}, "incarnation": 99}}}) == ["updated"]
        assert get("host", "h1") == {**before, "labels": {"zone": "a"}}

        host, _ = cloud.placement("one")
        assert cloud.fcctl("delete", "host", host, check=False).returncode == 1, "something is placed on it"
        listed = [json.loads(line) for line in cloud.fcctl("ps").stdout.splitlines()]
        assert [(line["container"], line["host"], line["epoch"]) for line in listed] == [("one", host, 1)]
        cloud.fcctl("delete", "spec", "one")
        assert get("placement", "one")["state"] == "deleted"
        assert not cloud.fcctl("ps").stdout
        wait_until(lambda: cloud.container_count() == 0, "what is placed nowhere is stopped", 30)
        wait_until(lambda: cloud.request("one.test").status in (404, 503), "it is not served any more")
        cloud.site("one")
        wait_until(lambda: cloud.request("one.test").status == 200, "it is served again")
        assert cloud.placement("one")[1] == 2, "an epoch never falls"


def test_published_scores_say_where_new_sites_go():
    with Cloud() as cloud:
        def publish(name, best, valid_s=60):
            hosts = {host: None for host in cloud.network.hosts if host != best}
            table = cloud.write_config("scores.json", {"by": "test", "valid_s": valid_s, "hosts": {best: 1, **hosts}})
            return json.loads(cloud.fcctl("scores", "put", name, table).stdout)["result"]

        assert publish("*", "h2") == "created"
        assert publish("apache", "h1") == "created"
        assert publish("apache", "h3") == "updated"
        assert [json.loads(line)["class"] for line in cloud.fcctl("scores").stdout.splitlines()] == ["*", "apache"]
        shown = [json.loads(line) for line in cloud.fcctl("scores", "show", "apache").stdout.splitlines()]
        assert shown[0] == {"host": "h3", "score": 1} and shown[1]["score"] is None
        for i in range(4):
            cloud.site(f"site-{i}")
            assert cloud.request(f"site-{i}.test").status == 200
            assert cloud.placement(f"site-{i}")[0] == "h3"
        assert cloud.metrics()['fastcontainer_orders_total{by="scores"}'] >= 4
        bad = cloud.write_config("bad.json", {"hosts": {"h1": "best"}})
        refused = cloud.fcctl("scores", "put", "apache", bad, check=False)
        assert refused.returncode == 2 and "hosts.h1" in refused.stderr, refused.stderr
        cloud.fcctl("scores", "delete", "apache")
        cloud.site("other")
        assert cloud.request("other.test").status == 200
        assert cloud.placement("other")[0] == "h2", "the table for all classes"
