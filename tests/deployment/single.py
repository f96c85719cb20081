"""`"writers": "single"`: never two copies that write, whatever becomes of a host or its dispatcher."""
import os
import signal

from cloud import Cloud, wait_until
from life import times
from load import OpenLoop, when_half_way

# Requests wait until the old copy has certainly ended: its heartbeat of 10 s, and a start.
PATIENT = {"timeouts": {"wait_ms": 60000, "start_ms": 60000, "response_ms": 90000}}


def single(cloud, name):
    """A container that writes its epoch to a file all the time, request or not."""
    site = cloud.path("site", "container.sh")
    write = f'while sleep 0.02; do echo $EPOCH >> "$RUN/epochs" || exit; done & exec {site}'
    open(cloud.path("run", "epochs"), "w").close()
    cloud.site(name, writers="single", command=["/bin/sh", "-c", write], stop={"grace_s": 0})


def epochs(cloud):
    return [int(line) for line in cloud.read("run", "epochs").split()]


def check_one_writer(cloud, *expected):
    seen = epochs(cloud)
    assert seen == sorted(seen), "an epoch wrote after a later one"
    assert sorted(set(seen)) == list(expected), (set(seen), expected)


def test_single_the_next_host_serves_only_when_the_old_copy_has_ended():
    with Cloud(proxy=PATIENT) as cloud:
        single(cloud, "one")
        assert cloud.request("one.test").status == 200
        old, epoch = cloud.placement("one")
        load = OpenLoop(cloud, "one", rate=20, seconds=20)
        when_half_way(cloud, load, 100)
        cloud.network.drop(old)
        load.check()
        new, after = cloud.placement("one")
        assert new != old and after == epoch + 1, (new, after)
        killed = times(cloud, old, "one stopped: moved")
        started = times(cloud, new, "one started")
        assert len(killed) == 1 and len(started) == 1 and killed[0] <= started[0], (killed, started)
        check_one_writer(cloud, epoch, after)


def end_and_move(cloud, end):
    single(cloud, "one")
    assert cloud.request("one.test").status == 200
    old, epoch = cloud.placement("one")
    end(old)
    load = OpenLoop(cloud, "one", rate=20, seconds=20)
    load.output()  # what was in progress on the old host may fail
    wait_until(lambda: cloud.request("one.test").status == 200, "it is served again", 60)
    return old, epoch


def test_single_a_host_that_lost_its_dispatcher_has_lost_its_copy():
    with Cloud(proxy=PATIENT) as cloud:
        old, epoch = end_and_move(cloud, lambda host: cloud.kill(host, what=("dispatcher",)))
        wait_until(lambda: not cloud.containers(old), "the guard has ended it")
        _, after = cloud.placement("one")
        check_one_writer(cloud, *sorted({epoch, after}))


def test_single_a_dispatcher_that_hangs_has_its_copy_killed():
    with Cloud(proxy=PATIENT) as cloud:
        def hang(host):
            os.kill(cloud.dispatchers[host].pid, signal.SIGSTOP)
            cloud.network.drop(host)
        old, epoch = end_and_move(cloud, hang)
        new, after = cloud.placement("one")
        assert new != old and after == epoch + 1, (new, after)
        check_one_writer(cloud, epoch, after)
        os.kill(cloud.dispatchers[old].pid, signal.SIGCONT)
        cloud.network.heal(old)
        check_one_writer(cloud, epoch, after)
