"""Policies in files: which one it is, and what becomes of a file that changes."""
import logging
import os
import threading
import time

import fastcontainer as fc
from cloud import Cloud, raises, stat
from fastcontainer.policy import File

LOADS = "fastcontainer_python_policy_loads_total"
HEAD = "from fastcontainer.policy import policy\n"


def always(host):
    return HEAD + f"@policy\ndef first(request, hosts):\n    return {host!r}\n"


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def loads(engine, outcome):
    return stat(engine, LOADS, f'"{outcome}"')


def placed_on(cloud):
    return cloud.engine.place("one").result(10).host


def test_an_engine_uses_the_policy_of_a_file_and_its_next_one_once_the_file_changes(tmp_path, caplog):
    path = tmp_path / "mine.py"
    path.write_text(always("h2"))
    with Cloud(hosts=3, policy=str(path)) as cloud:
        assert placed_on(cloud) == "h2" and loads(cloud.engine, "loaded") == 1
        path.write_text(always("h3"))  # of the same size, and within the same second
        until(lambda: loads(cloud.engine, "loaded") == 2)
        assert placed_on(cloud) == "h3"
        with caplog.at_level(logging.CRITICAL):
            path.write_text(HEAD + "raise ZeroDivisionError('while it is loaded')\n")
            until(lambda: loads(cloud.engine, "failed") == 1)
        path.write_text(always("h1"))
        until(lambda: loads(cloud.engine, "loaded") == 3)
        assert placed_on(cloud) == "h1" and loads(cloud.engine, "failed") == 1


def test_a_file_that_cannot_be_loaded_keeps_the_policy_and_is_logged_with_its_traceback(tmp_path, caplog):
    path = tmp_path / "mine.py"
    path.write_text(always("h2"))
    file = File(path)
    with Cloud(hosts=3, policy=file) as cloud:
        for broken, told in ((HEAD + "raise SystemExit('in line 2')\n", "in line 2"), ("def(", "SyntaxError"),
                             (HEAD, "found are: none"), (None, "FileNotFoundError")):
            if broken is None:
                path.unlink()
            else:
                path.write_text(broken)
            caplog.clear()
            before = file.loads["failed"]
            assert not file.check() or file.loads["failed"] > before, "this thread or the engine's found it"
            assert file.check() and file.loads["failed"] == before + 1, "it is tried once"
            until(lambda told=told: "Traceback" in caplog.text and told in caplog.text)
            cloud.engine.place("one", "h1").result(10)
            used = stat(cloud.engine, "fastcontainer_python_policy_calls_total", '"used"')
            assert placed_on(cloud) == "h2"
            assert stat(cloud.engine, "fastcontainer_python_policy_calls_total", '"used"') == used + 1
        assert loads(cloud.engine, "failed") == 4 and loads(cloud.engine, "loaded") == 1


def test_the_first_load_raises_what_the_file_raises(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("1 / 0\n")
    with raises(ZeroDivisionError):
        fc.Engine("memory:", policy=path)
    with raises(FileNotFoundError):
        fc.Engine("memory:", policy=str(tmp_path / "absent.py"))


def test_it_is_the_one_that_is_marked_in_the_file_itself(tmp_path):
    (tmp_path / "base.py").write_text(always("h1"))
    path = tmp_path / "mine.py"
    classes = HEAD + ("class Base:\n    def place(self, request, hosts):\n        return 0\n"
                      "@policy(budget=0.25)\nclass Mine(Base):\n    pass\nkept = Mine()\n")
    path.write_text(classes)
    assert type(File(path).current).__name__ == "Mine" and File(path).current.budget == 0.25
    for text, told in ((classes + "@policy\ndef other(request, hosts): pass\n", "found are: Mine, other"),
                       (HEAD + "@policy\nclass Mine: pass\n", "class Mine"),
                       (HEAD + "same = policy\n", "found are: none")):
        path.write_text(text)
        try:
            File(path)
        except (TypeError, ValueError) as error:
            assert told in str(error), error
        else:
            raise AssertionError(text)
    path.write_text(HEAD + "import dataclasses\n@policy\n@dataclasses.dataclass\nclass Mine:\n    host: 'str' = 'h1'\n"
                    "    def place(self, request, hosts):\n        return self.host\n")
    assert File(path).current.host == "h1", "a dataclass finds its module"


def test_a_file_looks_again_only_when_it_has_changed(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(always("h1"))
    file = File(path)
    first = file.current
    assert file.check() and file.current is first
    os.utime(path, ns=(0, 0))
    assert file.check() and file.current is not first and file.loads == {"loaded": 2, "failed": 0}


def test_an_engine_that_ends_looks_no_more(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(always("h1"))
    before = set(threading.enumerate())
    with Cloud(policy=path):
        mine = [one for one in threading.enumerate() if one not in before and one.name == "fastcontainer-policy"]
        assert len(mine) == 1
    mine[0].join(20)
    assert not mine[0].is_alive()
    with raises(fc.Invalid):
        fc.Engine("nothing:", policy=path)
    until(lambda: not any(one.name == "fastcontainer-policy" for one in threading.enumerate()))
