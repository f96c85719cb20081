"""CMDBs and runtimes in Python, through the same vtables as C's."""
import gc
import logging
import threading

import fastcontainer as fc
from cloud import Cloud, raises


class Dict:
    """A CMDB in a dict; answers at once, or from a thread of its own."""

    def __init__(self, own_thread=False):
        self.records = {}
        self.revision = 0
        self.watches = {}
        self.own_thread = own_thread
        self.threads = []
        self.down = False

    def _say(self, say, *arguments):
        if not self.own_thread:
            say(*arguments)
            return
        thread = threading.Thread(target=say, args=arguments)
        self.threads.append(thread)
        thread.start()

    def get(self, answer, key, linearizable):
        if self.down:
            raise OSError("the disk is gone")
        self._say(answer.records, [self._record(key)])

    def _record(self, key):
        return self.records.get(key, fc.Record(key, "", 0))

    def list(self, answer, prefix, after, at_revision, limit):
        found = [self.records[key] for key in sorted(self.records) if key.startswith(prefix) and key > after]
        page = found[:limit] if limit else found
        self._say(answer.records, page, self.revision, page[-1].key if len(page) < len(found) else "")

    def txn(self, answer, compares, mutations, deadline_ns):
        compares = list(compares)
        if any(self._record(key).revision != revision for key, revision in compares):
            self._say(answer.conflict, [self._record(key) for key, _ in compares])
            return
        self.revision += 1
        for kind, key, value, _lease in mutations:
            record = fc.Record(key, value, self.revision)
            if kind == 1:
                self.records[key] = record
            else:
                self.records.pop(key, None)
            for prefix, watch in list(self.watches.values()):
                if key.startswith(prefix):
                    watch.event(fc.EventKind(kind), record, self.revision)
        self._say(answer.written, self.revision)

    def watch(self, answer, prefix, after_revision):
        self.watches[answer.op] = (prefix, answer)

    def cancel(self, op):
        self.watches.pop(op, None)

    def join(self):
        for thread in self.threads:
            thread.join()


def serve(store):
    with Cloud(hosts=2, cmdb=store) as cloud:
        with cloud.engine.route("one.test") as ticket:
            assert ticket.host in ("h1", "h2")
        key = fc.record_key(fc.RecordKind.PLACEMENT, "one")
        with cloud.engine.cmdb.watch(key) as watch:
            cloud.engine.place("one", "h1" if ticket.host == "h2" else "h2").result(10)
            assert watch.wait(10).record.key == key
        with raises(fc.Conflict):
            cloud.engine.cmdb.put(key, store.records[key].value, revision=1).result(10)
        with raises(fc.Unsupported):
            cloud.engine.cmdb.lease_grant(10).result(10)
        store.join()


def test_a_cmdb_in_python_carries_a_cloud():
    serve(Dict())


def test_its_answers_may_come_from_any_thread():
    serve(Dict(own_thread=True))


def test_a_store_that_fails_is_a_cmdb_that_does_not_answer(caplog):
    store = Dict()
    with fc.Engine(store) as engine:
        store.down = True
        with raises(fc.CmdbUnavailable):
            engine.cmdb.get("/x").result(10)
    assert "the disk is gone" in caplog.text


def test_leases_are_offered_by_a_store_that_has_the_three_functions():
    class Leasing(Dict):
        def lease_grant(self, answer, ttl):
            answer.lease(7, ttl + 1)

        def lease_keep(self, answer, lease):
            answer.lease_ended()

        def lease_revoke(self, answer, lease):
            answer.lease(lease, 0)
    with fc.Engine(Leasing()) as engine:
        assert engine.cmdb.lease_grant(2).result(10) == fc.Lease(7, 3)
        with raises(fc.NotFound):
            engine.cmdb.lease_keep(7).result(10)
        engine.cmdb.lease_revoke(7).result(10)


def test_an_answer_after_the_engine_was_closed_is_nobodys():
    kept = []

    class Silent(Dict):
        def get(self, answer, key, linearizable):
            kept.append(answer)
    engine = fc.Engine(Silent())
    call = engine.cmdb.get("/x")
    assert engine.run_until(lambda: kept, 10)
    engine.close()
    with raises(fc.Shutdown):
        call.result()
    assert kept[0].records([fc.Record("/x", "", 0)]) is False


def test_a_runtime_in_python_starts_lists_and_stops():
    with Cloud() as cloud:
        with cloud.engine.route("one.test"):
            container, = cloud.dispatchers["h1"].containers()
            request, = cloud.runtime.requests
            assert (container.container, container.instance) == ("one", request.instance)
            assert container.state == fc.ContainerState.RUNNING and container.address == request.address
            assert request.spec["command"] == ["x"] and request.epoch == 1 and not request.prepared
        cloud.dispatchers["h1"].drain(0).result(10)
        assert not cloud.runtime.listening and not cloud.dispatchers["h1"].containers()


def test_a_runtime_that_raises_has_failed_and_is_logged(caplog):
    caplog.set_level(logging.ERROR)
    with Cloud() as cloud:
        cloud.runtime.fail = OSError("no image")
        with raises(fc.StartFailed):
            cloud.engine.route("one.test").result(10)
    assert "no image" in caplog.text


def test_what_runs_already_is_taken_over():
    with Cloud() as cloud:
        with cloud.engine.route("one.test"):
            pass
        old, = cloud.dispatchers["h1"].containers()
        request, = cloud.runtime.requests
        cloud.dispatchers["h1"].close()
        found = [{"instance": old.instance, "container": "one", "replica": 0, "epoch": old.epoch,
                  "spec_revision": request.spec_revision, "address": "%s:%d" % old.address, "ready": True}]
        cloud.runtime.recover = lambda operation: operation.found(found)
        from cloud import free_port
        cloud.dispatchers["h1"] = fc.Dispatcher(cloud.engine, "h1", address="127.0.0.1", port=free_port("127.0.0.1"),
                                                runtime=cloud.runtime)
        cloud.dispatchers["h1"].ready.result(10)
        new, = cloud.dispatchers["h1"].containers()
        assert new.instance == old.instance and len(cloud.runtime.requests) == 1


def test_a_dispatcher_that_cannot_serve_says_why():
    with fc.Engine("memory:") as engine:
        with raises(fc.Invalid):
            fc.Dispatcher(engine, "", runtime=None)


def test_the_end_of_the_engine_closes_its_dispatchers():
    cloud = Cloud(hosts=2)
    with cloud:
        kept = cloud.dispatchers.pop("h1")
        cloud.dispatchers.clear()  # h2 goes on without anybody who holds it
        gc.collect()
        cloud.engine.place("one", "h2").result(10)
        with cloud.engine.route("one.test") as ticket:
            assert ticket.host == "h2"
        drained = kept.drain(60)
    with raises(fc.Shutdown):
        drained.result()
    kept.close()
    with raises(RuntimeError):
        kept.containers()


def test_a_dispatcher_that_was_closed_tells_so():
    with Cloud() as cloud:
        cloud.dispatchers["h1"].close()
        with raises(RuntimeError):
            cloud.dispatchers["h1"].containers()
        cloud.dispatchers["h1"].close()
