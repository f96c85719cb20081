"""examples/orchestrator: its REST interface and its jobs, on hosts and a CMDB within this process."""
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sys
import time
import types

import fastcontainer as fc
import httpx
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../examples/orchestrator"))

from cloud import Sockets, free_port  # noqa: E402
from orchestrator import rebalance, rolling, run as run_module  # noqa: E402
from orchestrator.app import Settings, application  # noqa: E402
from orchestrator.jobs import Jobs  # noqa: E402
from orchestrator.monitor import Monitor, notifier  # noqa: E402
from orchestrator.store import CLAIMS, HOSTS, JOBS, Store, decoded, encoded  # noqa: E402

SPEC = {"command": ["x"], "keep_alive": {"idle_s": 0}}


async def until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        value = await value if asyncio.iscoroutine(value) else value
        if value:
            return value
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited in vain: {what}")


class Versions(Sockets):
    """What it starts fails if the environment says so, and remembers which version runs where."""

    def __init__(self):
        super().__init__()
        self.versions = []

    def start(self, operation, request):
        environment = request.spec.get("environment", {})
        self.versions.append((request.container, environment.get("VERSION")))
        if environment.get("VERSION") == "bad":
            operation.failed("this version never becomes ready")
            return
        super().start(operation, request)


class Place:
    """A cloud with orchestrators, all on one loop; each orchestrator has an engine of its own, as in life."""

    def __init__(self, tmp_path, hosts=2):
        self.tokens = tmp_path / "tokens"
        lines = [f"{role} {role}er {hashlib.sha256(role.encode()).hexdigest()}" for role in ("read", "write")]
        self.tokens.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.cmdb = f"sqlite:{tmp_path}/cmdb.db"
        self.runtime = Versions()
        self.host_count = hosts
        self.dispatchers = []

    async def __aenter__(self):
        self.engine = fc.Engine(self.cmdb, name="hosts")
        for i in range(1, self.host_count + 1):
            address = f"127.0.0.{i}"
            self.dispatchers.append(fc.Dispatcher(self.engine, f"h{i}", address=address, port=free_port(address),
                                                  runtime=self.runtime))
        for dispatcher in self.dispatchers:
            await dispatcher.ready
        return self

    async def __aexit__(self, *_exception):
        for dispatcher in self.dispatchers:
            dispatcher.close()
        self.engine.close()
        self.runtime.close()

    @contextlib.asynccontextmanager
    async def orchestrator(self, name="one", webhook="", claim_seconds=3.0):
        app = application(Settings(self.cmdb, str(self.tokens), name, webhook=webhook, claim_seconds=claim_seconds))
        await app.router.startup()
        transport = httpx.ASGITransport(app=app)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://test",
                                         headers={"Authorization": "Bearer write"}) as client:
                yield types.SimpleNamespace(app=app, http=client)
        finally:
            await app.router.shutdown()

    async def containers(self, http, *names, **spec):
        for name in names:
            new = {"If-None-Match": "*"}
            made = await http.put(f"/v1/specs/{name}", json={**SPEC, **spec}, headers=new)
            assert made.status_code == 201, made.text
            await http.put(f"/v1/keys/{name}.test", json={"container": name}, headers=new)
            async with self.engine.route(f"{name}.test"):
                pass


async def ended(http, answer, state=None):
    assert answer.status_code == 202, answer.text
    name = answer.json()["name"]

    async def look():
        job = (await http.get(f"/v1/jobs/{name}")).json()
        return job if job["state"] in ("done", "failed", "rolled-back", "cancelled") else None
    job = await until(look, f"job {name} ends")
    assert state is None or job["state"] == state, job
    return job


def run(tmp_path, test, **options):
    async def inside():
        async with Place(tmp_path, **options) as place:
            await test(place)
    asyncio.run(inside())


def test_a_change_needs_the_revision_that_it_is_for(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            put = await one.http.put("/v1/specs/a", json=SPEC)
            assert put.status_code == 428 and put.headers["Content-Type"] == "application/problem+json", put.text
            put = await one.http.put("/v1/specs/a", json=SPEC, headers={"If-None-Match": "*"})
            assert put.status_code == 201
            tag = put.headers["ETag"]
            assert (await one.http.put("/v1/specs/a", json=SPEC, headers={"If-None-Match": "*"})).status_code == 412
            changed = await one.http.patch("/v1/specs/a", json={"concurrency": 3}, headers={"If-Match": tag})
            assert changed.status_code == 200 and changed.json()["value"]["keep_alive"] == {"idle_s": 0}
            assert (await one.http.patch("/v1/specs/a", json={"concurrency": 4}, headers={"If-Match": tag})).status_code == 412
            assert (await one.http.get("/v1/specs/a")).json()["value"]["concurrency"] == 3
            assert (await one.http.delete("/v1/specs/a", headers={"If-Match": tag})).status_code == 412
            assert (await one.http.delete("/v1/specs/a", headers={"If-Match": changed.headers["ETag"]})).status_code == 204
            assert (await one.http.get("/v1/specs/a")).status_code == 404
    run(tmp_path, test, hosts=1)


def test_a_wrong_value_is_named_with_what_is_accepted(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            put = await one.http.put("/v1/specs/a", json={**SPEC, "concurrency": "5"}, headers={"If-None-Match": "*"})
            assert put.status_code == 422 and put.json()["errors"][0]["field"] == "concurrency", put.text
            assert "0 to 1000000" in put.json()["detail"]
            post = await one.http.post("/v1/jobs/rebalance", json={"max_moves": 0, "other": 1})
            assert post.status_code == 422 and {e["field"] for e in post.json()["errors"]} == {"max_moves", "other"}
            post = await one.http.post("/v1/jobs/drain", json={"host": "h1", "not_before": "2026-01-01T00:00:00"})
            assert post.status_code == 422 and post.json()["errors"][0]["field"] == "not_before"
            assert (await one.http.get("/v1/jobs/none")).headers["Content-Type"] == "application/problem+json"
            paths = (await one.http.get("/openapi.json")).json()["paths"]
            assert {"/v1/hosts/{name}", "/v1/specs/{name}", "/v1/placements/{name}", "/v1/jobs/rolling"} <= set(paths)
    run(tmp_path, test, hosts=1)


def test_a_token_that_may_read_changes_nothing(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            nobody = await one.http.get("/v1/hosts", headers={"Authorization": ""})
            assert nobody.status_code == 401 and nobody.headers["WWW-Authenticate"].startswith("Bearer")
            wrong = await one.http.get("/metrics", headers={"Authorization": "Bearer wrong"})
            assert wrong.status_code == 401
            may_read = {"Authorization": "Bearer read"}
            assert (await one.http.get("/v1/hosts", headers=may_read)).status_code == 200
            put = await one.http.put("/v1/specs/a", json=SPEC, headers={**may_read, "If-None-Match": "*"})
            assert put.status_code == 403
            assert (await one.http.post("/v1/jobs/drain", json={"host": "h1"}, headers=may_read)).status_code == 403
            assert (await one.http.get("/v1/specs/a")).status_code == 404
            assert "orchestrator_host_up" in (await one.http.get("/metrics", headers=may_read)).text
    run(tmp_path, test, hosts=1)


def test_a_placement_is_written_for_the_revision_that_was_read(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            await place.containers(one.http, "a")
            read = await one.http.get("/v1/placements/a")
            host = read.json()["value"]["replicas"][0]["host"]
            other = "h2" if host == "h1" else "h1"
            assert (await one.http.put("/v1/placements/a", json={"host": other})).status_code == 428
            match = {"If-Match": read.headers["ETag"]}
            bad = await one.http.put("/v1/placements/a", json={"host": "h9"}, headers=match)
            assert bad.status_code == 422 and "h1, h2" in bad.json()["errors"][0]["detail"]
            moved = await one.http.put("/v1/placements/a", json={"host": other}, headers=match)
            assert moved.status_code == 200 and moved.json()["value"]["replicas"][0]["epoch"] == 2, moved.text
            assert (await one.http.put("/v1/placements/a", json={"host": host}, headers=match)).status_code == 412
            busy = await one.http.get(f"/v1/hosts/{other}")
            assert (await one.http.delete(f"/v1/hosts/{other}", headers={"If-Match": busy.headers["ETag"]})).status_code == 409
    run(tmp_path, test)


def test_a_drain_moves_everything_and_a_scheduled_one_waits(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            await place.containers(one.http, "a", "b", "c")
            later = await one.http.post("/v1/jobs/drain", json={"host": "h2", "not_before": "2999-01-01T00:00:00Z"})
            job = await ended(one.http, await one.http.post("/v1/jobs/drain", json={"host": "h1"}), "done")
            assert job["progress"]["left"] == 0
            hosts = {item["value"]["replicas"][0]["host"]
                     for item in (await one.http.get("/v1/placements")).json()["items"]}
            assert hosts == {"h2"}
            assert (await one.http.get("/v1/hosts/h1")).json()["value"]["admin"] == "drain"
            assert (await one.http.get("/v1/hosts/h2")).json()["value"]["admin"] == "up", "it is not its time yet"
            url = later.headers["Location"]
            waiting = await one.http.get(url)
            assert waiting.json()["state"] == "waiting"
            await ended(one.http, await one.http.post(f"{url}/cancel", headers={"If-Match": waiting.headers["ETag"]}), "cancelled")
            assert (await one.http.get("/v1/hosts/h2")).json()["value"]["admin"] == "up"
    run(tmp_path, test)


def test_a_rolling_update_starts_the_new_version_before_it_moves(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            await place.containers(one.http, "a", "b")
            patch = {"containers": ["a", "b"], "patch": {"environment": {"VERSION": "2"}}}
            job = await ended(one.http, await one.http.post("/v1/jobs/rolling", json=patch), "done")
            assert [step["state"] for step in job["progress"]["steps"]] == ["ready", "ready"]
            assert place.runtime.versions[2:] == [("a.trial", "2"), ("a", "2"), ("b.trial", "2"), ("b", "2")]
            for name in ("a", "b"):
                assert (await one.http.get(f"/v1/specs/{name}")).json()["value"]["environment"] == {"VERSION": "2"}
            left = [item["name"] for item in (await one.http.get("/v1/specs")).json()["items"]]
            assert left == ["a", "b"] or left == ["b", "a"], "no trial is left"
            keys = [item["name"] for item in (await one.http.get("/v1/keys")).json()["items"]]
            assert sorted(keys) == ["a.test", "b.test"], "no key of the job is left"
            again = await ended(one.http, await one.http.post("/v1/jobs/rolling", json=patch), "done")
            assert [step["state"] for step in again["progress"]["steps"]] == ["unchanged", "unchanged"]
    run(tmp_path, test)


@pytest.mark.parametrize("trial", [True, False])
def test_a_version_that_never_becomes_ready_is_rolled_back(tmp_path, monkeypatch, trial):
    monkeypatch.setattr(rolling, "OLD_COPY_MS", 0)

    async def test(place):
        async with place.orchestrator() as one:
            await place.containers(one.http, "a")
            await place.containers(one.http, "b", environment={"VERSION": "1"})
            # The second is the one that fails: the first, which was updated already, goes back as well.
            await ended(one.http, await one.http.post("/v1/jobs/rolling", json={
                "containers": ["a"], "patch": {"environment": {"GOOD": "1"}}}), "done")
            b = await one.http.get("/v1/specs/b")
            await one.http.patch("/v1/specs/b", json={"environment": {"VERSION": "1", "KEEP": "1"}},
                                 headers={"If-Match": b.headers["ETag"]})
            before = [(await one.http.get(f"/v1/specs/{name}")).json()["value"] for name in ("a", "b")]
            job = await ended(one.http, await one.http.post("/v1/jobs/rolling", json={
                "containers": ["a", "b"], "patch": {"environment": {"VERSION": "bad"}}, "ready_s": 20, "trial": trial}),
                "rolled-back")
            assert "never becomes ready" in job["error"], job
            assert [(await one.http.get(f"/v1/specs/{name}")).json()["value"] for name in ("a", "b")] == before
            for name in ("a", "b"):
                async with place.engine.route(f"{name}.test"):
                    pass
            if trial:
                assert {name for name, version in place.runtime.versions if version == "bad"} == {"a.trial"}
            assert len((await one.http.get("/v1/specs")).json()["items"]) == 2
    run(tmp_path, test)


def test_a_rolling_update_of_a_spec_that_others_change_stops(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            await place.containers(one.http, "a")
            place.runtime.hold = True  # the trial does not become ready before the other change is written
            answer = await one.http.post("/v1/jobs/rolling", json={"containers": ["a"], "patch": {"concurrency": 2}})
            await until(lambda: place.runtime.held, "the trial is being started")
            spec = await one.http.get("/v1/specs/a")
            await one.http.patch("/v1/specs/a", json={"concurrency": 7}, headers={"If-Match": spec.headers["ETag"]})
            place.runtime.hold = False
            for operation in place.runtime.held:
                operation.done()
            job = await ended(one.http, answer, "rolled-back")
            assert "somebody else" in job["error"]
            assert (await one.http.get("/v1/specs/a")).json()["value"]["concurrency"] == 7
    run(tmp_path, test)


def test_a_rebalance_moves_no_more_than_it_may(tmp_path):
    assert rebalance.planned({"a": ["1", "2", "3", "4"], "b": []}, 1, 1.1) == [["1", "a", "b"]]
    assert rebalance.planned({"a": ["1", "2", "3", "4"], "b": []}, 9, 1.0) == [["1", "a", "b"], ["2", "a", "b"]]
    assert rebalance.planned({"a": ["1", "2"], "b": ["3"]}, 9, 1.0) == []
    assert rebalance.planned({}, 9, 1.0) == []

    async def test(place):
        async with place.orchestrator() as one:
            names = [f"c{i}" for i in range(6)]
            await place.containers(one.http, *names)
            await ended(one.http, await one.http.post("/v1/jobs/drain", json={"host": "h2"}), "done")
            host = await one.http.get("/v1/hosts/h2")
            await one.http.patch("/v1/hosts/h2", json={"admin": "up"}, headers={"If-Match": host.headers["ETag"]})

            async def on_h2():
                items = (await one.http.get("/v1/placements")).json()["items"]
                return sum(item["value"]["replicas"][0]["host"] == "h2" for item in items)
            job = await ended(one.http, await one.http.post("/v1/jobs/rebalance", json={"max_moves": 2}), "done")
            assert job["progress"]["moved"] == 2 and await on_h2() == 2, job
            await ended(one.http, await one.http.post("/v1/jobs/rebalance", json={}), "done")
            assert await on_h2() == 3
    run(tmp_path, test)


def test_two_orchestrators_run_each_job_once(tmp_path):
    async def test(place):
        ran = []

        async def handler(job):
            ran.append(job.name)
            await job.save(progress={"at": 1})

        engines = [fc.Engine(place.cmdb, name=f"o{i}") for i in range(2)]
        both = [Jobs(Store(engine), f"o{i}", {"count": handler}, 3) for i, engine in enumerate(engines)]
        for jobs in both:
            jobs.start()
        names = [(await both[i % 2].submit("count", {}, "test"))[0] for i in range(20)]
        with contextlib.suppress(fc.Conflict):
            await both[0].submit("count", {}, "test", name=names[0])
            raise AssertionError("a second job of that name")
        await until(lambda: len([1 for job, _ in both[0].known.values() if job["state"] == "done"]) == 20, "all are done")
        assert sorted(ran) == sorted(names)
        for jobs in both:
            await jobs.close()
        for engine in engines:
            engine.close()
    run(tmp_path, test, hosts=0)


def test_another_orchestrator_goes_on_where_the_first_one_was(tmp_path):
    async def test(place):
        steps = []

        def made(name, stops_at):
            async def handler(job):
                for at in range(job.progress.get("at", 0), 4):
                    if at == stops_at:
                        await asyncio.Event().wait()
                    steps.append((name, at))
                    await job.save(progress={"at": at + 1})
            return handler

        engines = [fc.Engine(place.cmdb, name=f"o{i}") for i in range(2)]
        first = Jobs(Store(engines[0]), "o0", {"count": made("first", 2)}, 2)
        first.start()
        await first.submit("count", {}, "test")
        await until(lambda: len(steps) == 2, "the first one is half way")
        for task in [*first._tasks, *first.running.values()]:
            task.cancel()  # as if it had died: nothing is given up
        second = Jobs(Store(engines[1]), "o1", {"count": made("second", None)}, 2)
        second.start()
        await until(lambda: len(steps) == 4, "the second one goes on")
        assert steps == [("first", 0), ("first", 1), ("second", 2), ("second", 3)]
        await second.close()
        for engine in engines:
            engine.close()
    run(tmp_path, test, hosts=0)


def test_who_has_lost_the_claim_writes_nothing_more(tmp_path):
    async def test(place):
        store = Store(place.engine)
        await store.cmdb.txn([fc.put(JOBS + "x", encoded({"kind": "k"})), fc.put(CLAIMS + "x", "{}")])
        job = await store.cmdb.get(JOBS + "x")
        mine = run_module.Run(store, "x", decoded(job.value), job.revision, job.revision)
        await mine.save(progress={"at": 1})
        await store.cmdb.put(CLAIMS + "x", '{"by":"another"}')
        with pytest.raises(run_module.Lost):
            await mine.save([fc.put("/orchestrator/v1/other", "{}")], progress={"at": 2})
        assert decoded((await store.cmdb.get(JOBS + "x")).value)["progress"] == {"at": 1}
        assert await store.cmdb.get("/orchestrator/v1/other") is None
    run(tmp_path, test, hosts=0)


def test_a_lost_host_is_told_once_by_two_orchestrators(tmp_path):
    async def test(place):
        received = []

        async def receive(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            received.append(decoded((await reader.readexactly(length)).decode()))
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(receive, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with place.orchestrator("one", url) as one, place.orchestrator("two", url):
            store = one.app.state.store

            async def state(host):
                record = await store.cmdb.get(HOSTS + host)
                return record and decoded(record.value)["state"]
            await until(lambda: state("h2"), "h2 is known")
            place.dispatchers.pop().close()
            await until(lambda: received, "the webhook is called")
            await until(lambda: state("h2"), "it is written")
            await place_looks(store)
            assert [(one["event"], one["host"]) for one in received] == [("host-lost", "h2")]
            jobs = (await one.http.get("/v1/jobs?kind=notify")).json()["items"]
            assert len(jobs) == 1
        server.close()
        await server.wait_closed()
    run(tmp_path, test)


async def place_looks(store):
    """A third one that looks finds nothing new."""
    await Monitor(store, "three").look()


def test_a_webhook_that_fails_is_called_again(tmp_path):
    async def test(place):
        calls = []

        async def receive(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            calls.append(head.lower().split(b"idempotency-key: ")[1].split(b"\r\n")[0])
            status = b"500 Oops" if len(calls) == 1 else b"204 No Content"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(receive, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        jobs = Jobs(Store(place.engine), "one", {"notify": notifier(url)}, 3)
        jobs.start()
        name, _, _ = await jobs.submit("notify", {"event": "host-lost", "host": "h1"}, "test")
        await until(lambda: jobs.known.get(name, ({}, 0))[0].get("state") == "done", "it is told")
        assert calls == [name.encode()] * 2
        await jobs.close()
        server.close()
        await server.wait_closed()
    run(tmp_path, test, hosts=0)


def test_a_request_that_may_have_been_sent_is_not_sent_again(tmp_path):
    async def test(place):
        async with place.orchestrator() as one:
            await place.containers(one.http, "a")
            store = one.app.state.store
            name, job = Jobs.made("once", {"key": "a.test", "method": "POST", "path": "/", "body": "", "idempotent": False,
                                           "timeout_s": 5}, "test")
            await store.cmdb.put(JOBS + name, encoded({**job, "state": "running", "progress": {"sent": True}}))

            async def look():
                return (await one.http.get(f"/v1/jobs/{name}")).json()
            await until(lambda: look_ended(look), "it ends")
            assert "not repeated" in (await look())["error"]
    run(tmp_path, test, hosts=1)


async def look_ended(look):
    return (await look())["state"] == "failed"
