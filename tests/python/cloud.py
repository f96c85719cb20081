"""A cloud within the test's own process: an engine, and dispatchers whose containers are listening sockets."""
from __future__ import annotations

import contextlib
import json
import socket

import fastcontainer as fc


def free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((address, 0))
        return int(own.getsockname()[1])


class Sockets:
    """A runtime: a container is a socket that listens. `hold` keeps starts back, `fail` lets them fail."""

    def __init__(self):
        self.listening = {}
        self.requests = []
        self.held = []
        self.hold = False
        self.fail = None
        self.exits = None

    def start(self, operation, request):
        self.requests.append(request)
        if self.fail is not None:
            raise self.fail
        self.listening[request.instance] = socket.create_server(request.address)
        if self.hold:
            self.held.append(operation)
        else:
            operation.done()

    def stop(self, operation, instance, grace):
        listener = self.listening.pop(instance, None)
        if listener is None:
            operation.failed("there is none")
            return
        listener.close()
        operation.done()

    def recover(self, operation):
        operation.found([])

    def watch_exits(self, operation):
        self.exits = operation

    def close(self):
        for listener in self.listening.values():
            listener.close()


class Cloud:
    """Hosts h1, h2, ... on 127.0.0.1, 127.0.0.2, ..., all served by one engine."""

    def __init__(self, hosts=1, cmdb="memory:", **options):
        self.engine = fc.Engine(cmdb, name="test", **options)
        self.runtime = Sockets()
        self.dispatchers = {}
        for i in range(1, hosts + 1):
            address = f"127.0.0.{i}"
            self.dispatchers[f"h{i}"] = fc.Dispatcher(self.engine, f"h{i}", address=address, port=free_port(address),
                                                      runtime=self.runtime)

    def records(self, *containers):
        """Containers with the key NAME.test each."""
        mutations = []
        for name in containers:
            spec = {"command": ["x"], "keep_alive": {"idle_s": 0}}
            mutations += [fc.put(fc.record_key(fc.RecordKind.SPEC, name), json.dumps({"v": 1, **spec})),
                          fc.put(fc.record_key(fc.RecordKind.KEY, f"{name}.test"),
                                 json.dumps({"v": 1, "container": name}))]
        return self.engine.cmdb.txn(mutations)

    def close(self):
        for dispatcher in self.dispatchers.values():
            dispatcher.close()
        self.engine.close()
        self.runtime.close()

    def __enter__(self):
        for dispatcher in self.dispatchers.values():
            dispatcher.ready.result(20)
        self.records("one", "two").result(20)
        return self

    def __exit__(self, *_exception):
        self.close()

    async def __aenter__(self):
        for dispatcher in self.dispatchers.values():
            await dispatcher.ready
        await self.records("one", "two")
        return self

    async def __aexit__(self, *_exception):
        self.close()


def stat(engine, name, labels=""):
    return sum(one.value for one in engine.stats() if one.name == name and labels in one.labels)


@contextlib.contextmanager
def raises(kind, **attributes):
    try:
        yield
    except kind as error:
        for name, value in attributes.items():
            assert getattr(error, name) == value, (name, getattr(error, name), value)
    else:
        raise AssertionError(f"{kind.__name__} was not raised")
