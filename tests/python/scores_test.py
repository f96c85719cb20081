"""Scores that a policy publishes through the CMDB: another engine, which knows nothing of Python's policy, places by them."""
import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import fastcontainer as fc
import numpy as np
from cloud import Cloud, raises, stat
from fastcontainer.scores import publish

ALL = fc.record_key(fc.RecordKind.SCORES, "*")


def prefers(host):
    return lambda _request, hosts: np.array([float(one == host) for one in hosts.ids])


async def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.01)


async def placed(cloud, container="one"):
    return (await cloud.engine.place(container)).host


async def record(engine, key=ALL):
    found = await engine.cmdb.get(key)
    return None if found is None else json.loads(found.value)


async def written(engine, host, key=ALL):
    """A table that prefers `host` among three is in the CMDB."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = await record(engine, key)
        if found and len(found["hosts"]) == 3 and found["hosts"][host] == 1:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("it was not written")


async def comes_to(cloud, host, container="one", seconds=20):
    """Placements of `cloud` follow a table that prefers `host`; the one that leaves it goes elsewhere."""
    end = time.monotonic() + seconds
    while await placed(cloud, container) != host:
        assert time.monotonic() < end, "it was not followed"
        await asyncio.sleep(0.01)


def test_another_router_places_by_what_is_published_and_by_the_built_in_policy_after_the_end():
    best = ["h3"]

    async def main():
        async with Cloud(hosts=3, cmdb="memory:publish") as cloud, fc.Engine("memory:publish", name="publisher") as engine:
            async with publish(engine, lambda *asked: prefers(best[0])(*asked), interval=0.01, valid=3600,
                               by="me") as publisher:
                table = await written(engine, "h3")
                assert table["by"] == "me" and table["valid_s"] == 3600 and table["hosts"] == {"h1": 0, "h2": 0, "h3": 1}
                await comes_to(cloud, "h3")
                best[0] = "h1"
                await written(engine, "h1")
                assert publisher.written["*"] >= 1 and publisher.failed == 0
            assert await record(cloud.engine) is None, "its end takes the scores back"
            assert stat(publisher, "fastcontainer_python_policy_calls_total", '"used"') >= 1
    asyncio.run(main())


def test_classes_are_published_and_applied_by_themselves():
    async def main():
        async with Cloud(hosts=3, cmdb="memory:classes") as cloud, fc.Engine("memory:classes", name="publisher") as engine:
            for name, class_name in (("blog", "wordpress"), ("files", "static")):
                await cloud.engine.cmdb.put(fc.record_key(fc.RecordKind.CLASS, class_name), '{"v": 1, "command": ["x"]}')
                await cloud.engine.cmdb.put(fc.record_key(fc.RecordKind.SPEC, name),
                                            json.dumps({"v": 1, "class": class_name}))

            def chooses(request, hosts):
                return prefers({"wordpress": "h2", "static": "h1"}[request.class_name])(request, hosts)
            async with publish(engine, chooses, classes=("wordpress", "static"), interval=0.01, valid=60):
                await comes_to(cloud, "h2", "blog")
                await comes_to(cloud, "h1", "files")
                assert await record(engine) is None
    asyncio.run(main())


def test_scores_become_old_where_the_policy_fails(caplog):
    healthy = [True]

    def chooses(request, hosts):
        if not healthy[0]:
            raise ZeroDivisionError("in the policy")
        return prefers("h3")(request, hosts)

    async def main():
        async with Cloud(hosts=3, cmdb="memory:old") as cloud, fc.Engine("memory:old", name="publisher") as engine:
            async with publish(engine, chooses, interval=0.01, valid=1):
                await written(engine, "h3")
                await comes_to(cloud, "h3")
                healthy[0] = False
                while stat(cloud.engine, "fastcontainer_orders_total", 'scores="old"') == 0:
                    await placed(cloud)
                    await asyncio.sleep(0.01)
    asyncio.run(main())
    assert "in the policy" in caplog.text


def test_what_does_not_change_is_written_again_only_when_it_is_about_to_become_old():
    async def main():
        async with Cloud(hosts=3, cmdb="memory:half") as cloud:
            async with publish(cloud.engine, prefers("h1"), interval=0.01, valid=60) as publisher:
                await written(cloud.engine, "h1")
                before = publisher.written["*"]
                asked = stat(publisher, "fastcontainer_python_policy_calls_total", '"used"')
                await until(lambda: stat(publisher, "fastcontainer_python_policy_calls_total", '"used"') > asked + 10)
                assert publisher.written["*"] == before
            async with publish(cloud.engine, prefers("h1"), interval=0.01, valid=0.1) as publisher:
                await until(lambda: publisher.written["*"] >= 4)
    asyncio.run(main())


def test_scores_that_are_no_numbers_of_json_are_published_too():
    async def main():
        async with Cloud(hosts=3, cmdb="memory:json") as cloud:
            def chooses(_request, hosts):
                return np.array([np.inf, np.nan, -np.inf])[:len(hosts)] if len(hosts) == 3 else np.zeros(len(hosts))
            async with publish(cloud.engine, chooses, interval=0.01):
                while (await record(cloud.engine) or {}).get("hosts") != {"h1": 1e308, "h2": None, "h3": None}:
                    await asyncio.sleep(0.01)
    asyncio.run(main())


def test_what_publish_is_given_is_checked():
    with fc.Engine("memory:") as engine:
        for kind, options in ((ValueError, {"interval": 2, "valid": 1}), (TypeError, {"classes": "wordpress"})):
            with raises(kind):
                publish(engine, prefers("h1"), **options)


def test_the_program_publishes_a_file_until_it_is_told_to_end(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from fastcontainer.policy import policy\n@policy\ndef mine(request, hosts):\n"
                    "    return [float(host == 'h2') for host in hosts.ids]\n")
    cmdb = f"sqlite:{tmp_path}/cmdb.sqlite"
    key = fc.record_key(fc.RecordKind.SCORES, "*")

    async def main():
        async with Cloud(hosts=3, cmdb=cmdb) as cloud:
            with subprocess.Popen([sys.executable, "-m", "fastcontainer.scores", cmdb, str(path), "--interval", "0.05"],
                                  env={**os.environ, "PYTHONWARNINGS": ""}) as program:
                try:
                    await written(cloud.engine, "h2", key)
                    await comes_to(cloud, "h2")
                    program.send_signal(signal.SIGTERM)
                    await until(lambda: program.poll() is not None)
                finally:
                    program.kill()
                assert program.returncode == 0
            assert await record(cloud.engine, key) is None
    asyncio.run(main())
