"""Scores that a program gives its own engine, and the hosts that it gives them by."""
import json

import fastcontainer as fc
import numpy as np
from cloud import Cloud, raises


def place(cloud):
    return cloud.engine.place("one").result(10).host


def publish(cloud, **scores):
    record = {"v": 1, "by": "test", "at_ms": 1, "valid_s": 600, "hosts": scores}
    cloud.engine.cmdb.txn([fc.put(fc.record_key(fc.RecordKind.SCORES, "*"), json.dumps(record))]).result(10)


def test_scores_decide_until_they_are_removed():
    with Cloud(hosts=3) as cloud:
        built_in = place(cloud)
        for wanted in ("h1", "h2", "h3"):
            cloud.engine.set_scores({host: float(host == wanted) for host in ("h1", "h2", "h3")})
            # A placement that is asked for anew leaves its host: the second one shows where it would be.
            assert wanted in (place(cloud), place(cloud))
        cloud.engine.set_scores({})
        assert built_in in (place(cloud), place(cloud))


def test_what_is_wrong_in_them_is_told():
    with Cloud() as cloud:
        with raises(ValueError):
            cloud.engine.set_scores({"h1": "best"})
        with raises(TypeError):
            cloud.engine.set_scores({1: 1.0})
        engine = cloud.engine
    with raises(RuntimeError):
        engine.set_scores({"h1": 1.0})
    with raises(RuntimeError):
        engine.hosts()


def test_the_hosts_are_a_copy_that_stays():
    with Cloud(hosts=3) as cloud:
        place(cloud)
        hosts = cloud.engine.hosts()
        flags = hosts.flags
        assert sorted(hosts.ids) == ["h1", "h2", "h3"]
    assert hosts.row("h2") == 1 and flags.shape == (3,)
    assert np.all(flags & fc.HostFlag.ADMIN_UP)


def test_published_scores_may_be_ignored():
    for ignored in (False, True):
        with Cloud(hosts=3, scores=not ignored) as cloud:
            publish(cloud, h1=None)
            seen = set()
            for _ in range(50):
                seen.add(place(cloud))
            assert ("h1" in seen) == ignored, seen
