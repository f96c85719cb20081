"""examples/orchestrator: replica sets, on hosts and a CMDB within this process."""
from __future__ import annotations

from orchestrator_test import SPEC, run, until  # it says where the orchestrator is
from orchestrator.sets import Step, next_step

NEW = {"If-None-Match": "*"}
WANTED = {"replicas": 2, "spec": SPEC, "domain": "test", "drain_s": 0}


def member(i, state="kept", **more):
    return {"state": state, "key": f"a-{i}.test", "drain_s": 5, **more}


def test_a_set_is_brought_step_by_step_to_what_is_wanted():
    wanted = {**WANTED, "drain_s": 5}
    assert next_step("a", wanted, {}, set(), 0) == Step({"a-0": member(0)}, create="a-0")
    assert next_step("a", wanted, {"a-0": member(0)}, {"a-1"}, 0) is None, "another's container is left alone"
    three = {f"a-{i}": member(i) for i in range(3)}
    step = next_step("a", wanted, three, set(), 1000)
    assert step == Step({**three, "a-2": member(2, "leaving", until_ms=6000)}), "a surplus one serves on for a while"
    assert next_step("a", wanted, step.members, set(), 5999) is None
    assert next_step("a", {**wanted, "replicas": 3}, step.members, set(), 5999) == Step(three), "it is wanted again"
    assert next_step("a", wanted, step.members, set(), 6000).remove == "a-2"
    assert next_step("a", None, {"a-0": member(0)}, set(), 0) == Step({"a-0": member(0, "leaving", until_ms=5000)})
    # A set of that name with other keys, while the members of the one before it leave: they go, and are made anew.
    other = {**wanted, "domain": "other"}
    left = {"a-0": member(0, "leaving", until_ms=5000), "a-1": member(1, "leaving", until_ms=5000)}
    assert next_step("a", other, left, set(), 4999) is None
    assert next_step("a", other, left, set(), 5000).remove == "a-0"
    assert next_step("a", other, {}, set(), 5000).create == "a-0"


async def members(one, name="web"):
    answer = await one.http.get(f"/v1/sets/{name}")
    return {one["name"]: one for one in answer.json()["members"]} if answer.status_code == 200 else {}


async def ready(one, count, name="web"):
    async def look():
        found = await members(one, name)
        return found if len(found) == count and all(each["ready"] for each in found.values()) else None
    return await until(look, f"{count} are ready")


def test_a_set_by_rest_is_typed_and_needs_the_revision_that_it_is_for(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            async def put(body, headers=None, name="web"):
                return await one.http.put(f"/v1/sets/{name}", json={**WANTED, **body}, headers=headers or NEW)
            for body, field in (({"replicas": -1}, "replicas"), ({"replicas": "2"}, "replicas"), ({"replicas": 1001}, "replicas"),
                                ({"more": 1}, "more"), ({"spec": {**SPEC, "concurrency": "x"}}, "concurrency"), ({"spec": 1}, "spec"),
                                ({"spec": {**SPEC, "keep_alive": 1}}, "spec"), ({"domain": "A b"}, "domain"),
                                ({"drain_s": -1}, "drain_s")):
                answer = await put(body)
                assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == field, (body, answer.text)
            assert (await put({}, name="A_b")).status_code == 422
            assert (await one.http.put("/v1/sets/web", json=WANTED)).status_code == 428
            made = await put({})
            assert made.status_code == 201, made.text
            assert (await put({})).status_code == 412
            match = {"If-Match": made.headers["ETag"]}
            assert (await put({"domain": "other"}, match)).status_code == 422, "keys do not move"
            await ready(one, 2)
            changed = await put({"replicas": 0}, match)
            assert changed.status_code == 200, "members do not change the revision of the set"
            assert (await put({}, match)).status_code == 412
            assert [each["name"] for each in (await one.http.get("/v1/sets")).json()["items"]] == ["web"]
            reader = {"Authorization": "Bearer read"}
            assert (await one.http.put("/v1/sets/web", json=WANTED, headers=reader)).status_code == 403
            assert (await one.http.delete("/v1/sets/web")).status_code == 428
            gone = await one.http.delete("/v1/sets/web", headers={"If-Match": changed.headers["ETag"]})
            assert gone.status_code == 204 and (await one.http.get("/v1/sets/web")).status_code == 404
    run(tmp_path, test)


def test_two_orchestrators_keep_so_many_and_make_anew_what_is_missing(tmp_path):
    async def test(place):
        async with place.orchestrator("one") as one, place.orchestrator("two") as two:
            made = await one.http.put("/v1/sets/web", json={**WANTED, "replicas": 4}, headers=NEW)
            await ready(one, 4)
            await ready(two, 4)
            assert sorted(name for name, _ in place.runtime.versions) == [f"web-{i}" for i in range(4)], "each was started once"
            assert 'orchestrator_set_ready{set="web"} 4' in (await one.http.get("/metrics")).text

            spec = await one.http.get("/v1/specs/web-1")
            assert spec.json()["value"]["keep_alive"]["idle_s"] == 0
            await one.http.delete("/v1/specs/web-1", headers={"If-Match": spec.headers["ETag"]})

            async def again():
                return (await one.http.get("/v1/specs/web-1")).status_code == 200
            await until(again, "it is made anew")
            await until(lambda: place.runtime.versions.count(("web-1", None)) == 2, "and started")

            down = await one.http.put("/v1/sets/web", json=WANTED, headers={"If-Match": made.headers["ETag"]})
            await ready(one, 2)
            assert sorted(await members(two)) == ["web-0", "web-1"]
            for path in ("specs/web-2", "keys/web-2.test"):
                assert (await one.http.get(f"/v1/{path}")).status_code == 404, path
            await one.http.delete("/v1/sets/web", headers={"If-Match": down.headers["ETag"]})

            async def nothing():
                return not (await one.http.get("/v1/specs")).json()["items"]
            await until(nothing, "all have gone with the set")
            await until(lambda: not place.runtime.listening, "and are stopped", 60)
    run(tmp_path, test)


def test_a_container_that_was_there_before_is_no_member(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            await place.containers(one.http, "web-1", environment={"OF": "somebody"})
            await one.http.put("/v1/sets/web", json={**WANTED, "replicas": 3}, headers=NEW)

            async def others():
                found = await members(one)
                return found if len(found) == 3 and found["web-0"]["ready"] and found["web-2"]["ready"] else None
            found = await until(others, "the others are made")
            assert found["web-1"]["state"] == "missing" and "already" in found["web-1"]["note"], found
            spec = (await one.http.get("/v1/specs/web-1")).json()["value"]
            assert spec["environment"] == {"OF": "somebody"}, spec
    run(tmp_path, test)


def test_the_members_of_a_lost_host_answer_on_another_one_before_anybody_asks(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            await one.http.put("/v1/sets/web", json={**WANTED, "replicas": 6}, headers=NEW)
            found = await ready(one, 6)
            lost = place.dispatchers.pop()
            on_it = [name for name, each in found.items() if each["host"] == "h2"]
            assert on_it, found
            lost.close()
            for address, listener in [(one.getsockname(), one) for one in place.runtime.listening.values()]:
                if address[0] == "127.0.0.2":
                    listener.close()

            async def moved():
                return {each["host"] for each in (await members(one)).values()} == {"h1"}
            await until(moved, "all are on the host that is left", 60)
            await ready(one, 6)
    run(tmp_path, test)
