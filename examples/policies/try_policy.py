"""Where would it place? Hosts within this process, in zones a and b by turns: try_policy.py POLICY.py [--hosts 6] [--containers 12]

It is a real engine with real dispatchers on loopback addresses, whose containers are sockets that listen.
"""
import argparse
import collections
import json
import logging
import socket

import fastcontainer as fc


class Sockets:
    """A runtime: see fastcontainer.Runtime."""

    def __init__(self):
        self.listening = {}

    def start(self, operation, request):
        self.listening[request.instance] = socket.create_server(request.address)
        operation.done()

    def stop(self, operation, instance, grace):
        self.listening.pop(instance).close()
        operation.done()

    def recover(self, operation):
        operation.found([])

    def watch_exits(self, operation):
        """Sockets do not end by themselves."""


def free_port(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((address, 0))
        return own.getsockname()[1]


def dispatchers(engine, count, runtime):
    for i in range(1, count + 1):
        address = f"127.0.0.{i}"
        one = fc.Dispatcher(engine, f"h{i}", address=address, port=free_port(address), runtime=runtime,
                            labels={"zone": "ab"[i % 2]}, memory=i << 30)
        one.ready.result(20)
        yield one


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("policy")
    parser.add_argument("--hosts", type=int, default=6)
    parser.add_argument("--containers", type=int, default=12)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    runtime = Sockets()
    with fc.Engine("memory:", policy=given.policy) as engine:
        running = list(dispatchers(engine, given.hosts, runtime))
        where = collections.Counter()
        for i in range(given.containers):
            spec = {"v": 1, "command": ["none"], "limits": {"memory": 64 << 20}}
            engine.cmdb.put(fc.record_key(fc.RecordKind.SPEC, f"c{i}"), json.dumps(spec)).result(5)
            where[engine.place(f"c{i}").result(10).host] += 1
        for host, count in sorted(where.items()):
            print(f"{host:4} {count}")
        for stat in engine.stats():
            if stat.name == "fastcontainer_python_policy_calls_total" and stat.value:
                print(f"{stat.labels} {stat.value:g}")
        for one in running:
            one.close()


if __name__ == "__main__":
    main()
