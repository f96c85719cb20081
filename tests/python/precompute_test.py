"""Policies that are asked in advance: what they are shown, when their scores decide, and what becomes of mistakes."""
import asyncio
import gc
import json
import subprocess
import sys
import threading
import time

import fastcontainer as fc
import numpy as np
from cloud import Cloud, raises, stat
from fastcontainer.policy import policy

CALLS = "fastcontainer_python_policy_calls_total"


def calls(engine, outcome):
    return stat(engine, CALLS, f'"{outcome}"')


def until(engine, true, seconds=20):
    """Runs the engine's loop meanwhile."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        engine.run_until(lambda: False, 0.01)


def prefers(host):
    """Scores that put `host` first."""
    return lambda _request, hosts: np.array([float(one == host) for one in hosts.ids])


def place(cloud, container="one"):
    return cloud.engine.place(container).result(10).host


def with_class(cloud, container, name):
    cloud.engine.cmdb.txn([
        fc.put(fc.record_key(fc.RecordKind.CLASS, name), '{"v": 1, "command": ["x"]}'),
        fc.put(fc.record_key(fc.RecordKind.SPEC, container), json.dumps({"v": 1, "class": name}))]).result(10)


def test_scores_decide_and_no_placement_calls_the_policy():
    threads = []

    @policy(precompute=True, interval=0.01)
    def chooses(request, hosts):
        threads.append(threading.current_thread())
        assert request.container == "" and request.class_name == ""
        return prefers("h3")(request, hosts)
    with Cloud(hosts=3, policy=chooses) as cloud:
        seen = calls(cloud.engine, "used") + 2  # the first after the hosts were known
        until(cloud.engine, lambda: calls(cloud.engine, "used") >= seen)
        assert place(cloud) == "h3" and place(cloud, "two") == "h3"
        assert threading.current_thread() not in threads
    threads[-1].join(20)
    assert not threads[-1].is_alive(), "it ends with the engine"


def test_each_class_has_scores_of_its_own():
    @policy(precompute=True, interval=0.01, classes=("wordpress", "static"))
    def chooses(request, hosts):
        return prefers({"wordpress": "h2", "static": "h3"}[request.class_name])(request, hosts)
    with Cloud(hosts=3, policy=chooses) as cloud:
        seen = calls(cloud.engine, "used") + 4
        until(cloud.engine, lambda: calls(cloud.engine, "used") >= seen)
        with_class(cloud, "blog", "wordpress")
        with_class(cloud, "files", "static")
        assert place(cloud, "blog") == "h2" and place(cloud, "files") == "h3"


def test_a_placement_does_not_wait_for_a_policy_that_hangs_and_old_scores_decide_no_more():
    hang, entered, go_on = threading.Event(), threading.Event(), threading.Event()

    @policy(precompute=True, interval=0.01)
    def chooses(request, hosts):
        if hang.is_set():
            entered.set()
            go_on.wait(60)
        return prefers("h3")(request, hosts)
    with Cloud(hosts=3, policy=chooses) as cloud:
        seen = calls(cloud.engine, "used") + 2
        until(cloud.engine, lambda: calls(cloud.engine, "used") >= seen)
        hang.set()
        until(cloud.engine, entered.is_set)

        def old():
            place(cloud)
            return stat(cloud.engine, "fastcontainer_orders_total", 'scores="old"') > 0
        assert place(cloud) == "h3" and not go_on.is_set()
        until(cloud.engine, old)
        go_on.set()


def test_what_is_wrong_is_counted_and_logged_and_the_built_in_policy_decides(caplog):
    def wrong(outcome, answer, **options):
        @policy(precompute=True, interval=0.01, **options)
        def chooses(_request, hosts):
            return answer(hosts)
        with Cloud(hosts=2, policy=chooses) as cloud:
            until(cloud.engine, lambda: calls(cloud.engine, outcome) >= 2)
            assert place(cloud) in ("h1", "h2")
            assert calls(cloud.engine, "used") == 0 or outcome == "declined"

    wrong("wrong", lambda hosts: 0)
    wrong("wrong", lambda hosts: hosts.ids)
    wrong("wrong", lambda hosts: [0.5] * (len(hosts) + 1))
    wrong("exception", lambda hosts: 1 / 0)
    wrong("overrun", lambda hosts: [time.sleep(0.002), [0.5] * len(hosts)][1], budget=0.001)
    wrong("declined", lambda hosts: None)
    assert "scores are accepted in advance" in caplog.text and "ZeroDivisionError" in caplog.text
    assert "Traceback" in caplog.text and "(overrun)" in caplog.text


def test_a_file_may_change_its_classes_but_not_when_it_is_asked(tmp_path):
    head = "from fastcontainer.policy import policy\n"
    text = head + ("@policy(precompute=True, interval=0.01, classes=({classes}))\ndef chooses(request, hosts):\n"
                   "    return [float(host == {host!r}) for host in hosts.ids]\n")
    path = tmp_path / "mine.py"
    path.write_text(text.format(classes="'a', 'b'", host="h2"))
    with Cloud(hosts=3, policy=path) as cloud:
        with_class(cloud, "in-b", "b")
        until(cloud.engine, lambda: calls(cloud.engine, "used") >= 8)
        assert place(cloud, "in-b") == "h2"
        path.write_text(text.format(classes="'a',", host="h3"))
        until(cloud.engine, lambda: stat(cloud.engine, "fastcontainer_python_policy_loads_total", '"loaded"') == 2)
        seen = calls(cloud.engine, "used") + 4
        until(cloud.engine, lambda: calls(cloud.engine, "used") >= seen)
        with_class(cloud, "in-a", "a")
        assert place(cloud, "in-a") == "h3"
        path.write_text(head + "@policy\ndef chooses(request, hosts):\n    return 0\n")
        until(cloud.engine, lambda: stat(cloud.engine, "fastcontainer_python_policy_loads_total", '"failed"') == 1)


def test_a_kept_copy_of_the_hosts_raises_too():
    kept = {}

    @policy(precompute=True, interval=0.01)
    def chooses(_request, hosts):
        kept.update(column=hosts.free_cpu, hidden=np.asarray(hosts.id_hash), was=hosts.id_hash.tolist())
        return np.zeros(len(hosts))
    with Cloud(hosts=3, policy=chooses) as cloud:
        until(cloud.engine, lambda: len(kept.get("was", ())) == 3)
    gc.collect()
    with raises(RuntimeError):
        len(kept["column"])
    assert kept["hidden"].tolist() == kept["was"], "it holds the copy"


def test_the_settings_of_a_policy_are_checked():
    with raises(ValueError):
        policy(budget=0)
    with raises(ValueError):
        policy(precompute=True, interval=-1)
    with raises(TypeError):
        policy(classes="wordpress")


def test_a_process_that_never_closes_its_engine_ends_all_the_same(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import fastcontainer as fc\nfrom fastcontainer.policy import policy\n"
                      "@policy(precompute=True, interval=0.001)\ndef chooses(request, hosts):\n    return [0.5] * len(hosts)\n"
                      "engine = fc.Engine('memory:', policy=chooses)\n"
                      "engine.run_until(lambda: engine.stats()[-1] and engine._policy._counts['used'] > 3)\n")
    ended = subprocess.run([sys.executable, "-W", "ignore", str(script)], timeout=60, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 0, ended


def test_asyncio_serves_the_scorer():
    @policy(precompute=True, interval=0.01)
    def chooses(request, hosts):
        return prefers("h2")(request, hosts)

    async def main():
        async with Cloud(hosts=3, policy=chooses) as cloud:
            seen = calls(cloud.engine, "used") + 2
            while calls(cloud.engine, "used") < seen:
                await asyncio.sleep(0.01)
            assert (await cloud.engine.place("one")).host == "h2"
    asyncio.run(main())
