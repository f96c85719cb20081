"""The policies of examples/policies: what they choose."""
import json
import os
import runpy
import subprocess
import sys

import fastcontainer as fc
import numpy as np
from fastcontainer._runner import rows_of
from fastcontainer.policy import _DTYPES, HostTable, PlaceRequest

FOLDER = os.path.join(os.path.dirname(__file__), "../../examples/policies")
UP = fc.HostFlag.ADMIN_UP | fc.HostFlag.REACHABLE | fc.HostFlag.FRESH


class Hosts:
    """Hosts h1, h2, ... as an engine would show them."""

    def __init__(self, count, zones=None, **columns):
        self.names = [f"h{i + 1}" for i in range(count)]
        self.in_zones = zones or [""] * count
        self.values = {name: np.zeros(count, dtype) for name, dtype in _DTYPES.items()}
        self.values["id_hash"][:] = np.random.default_rng(7).integers(1 << 63, size=count)
        self.values["flags"][:] = UP
        for name in ("free_cpu", "free_memory"):
            self.values[name][:] = np.inf
        for name, values in columns.items():
            self.values[name][:] = values

    def __len__(self):
        return len(self.names)

    def ids(self):
        return self.names

    def zones(self):
        return self.in_zones

    def id(self, row):
        return self.names[row]

    def row(self, host):
        return self.names.index(host) if host in self.names else -1

    def column(self, name):
        return memoryview(self.values[name]).cast("B")

    def choose(self, policy, request):
        table = HostTable(self)
        answer = policy.place(request, table) if hasattr(policy, "place") else policy(request, table)
        return None if answer is None else [self.names[row] for row in rows_of(answer, table, request, 32)]


def asked(replica=0, memory=0.0, avoid="", container_hash=40):
    return PlaceRequest("one", container_hash, replica, 0.0, memory, avoid)


def load(name):
    return runpy.run_path(os.path.join(FOLDER, name + ".py"))


def test_zone_aware_puts_each_replica_into_another_zone_and_there_where_most_memory_is_free():
    policy = load("zone_aware")["zone_aware"]
    hosts = Hosts(6, zones=["a", "b", "c", "a", "b", "c"], free_memory=[1e9, 2e9, 3e9, 4e9, 5e9, 6e9])
    first = [hosts.choose(policy, asked(replica))[0] for replica in range(3)]
    assert sorted(first) == ["h4", "h5", "h6"]
    assert hosts.choose(policy, asked(3))[0] == first[0]
    assert len({hosts.choose(policy, asked(0, container_hash=i))[0] for i in range(3)}) == 3
    order = hosts.choose(policy, asked(0, memory=1.5e9))
    assert len(order) == 5 and "h1" not in order, "each host that fits, the zone of its turn before the others"
    zone = dict(zip(hosts.names, hosts.in_zones))
    assert [zone[host] for host in hosts.choose(policy, asked(0))] in (list("aabbcc"), list("bbccaa"), list("ccaabb"))


def test_cheapest_first_fills_the_cheapest_host_that_has_room():
    policy = load("cheapest_first")["CheapestFirst"]({"h1": 0.3, "h2": 0.1, "h3": 0.1, "h4": 0.2})
    hosts = Hosts(5, free_memory=[8e9, 4e9, 2e9, 8e9, 8e9])
    assert hosts.choose(policy, asked(memory=1e9)) == ["h3", "h2", "h4", "h1", "h5"]
    assert hosts.choose(policy, asked(memory=3e9, avoid="h2")) == ["h4", "h1", "h5"]
    hosts.values["flags"][:] |= fc.HostFlag.OVERLOADED
    assert hosts.choose(policy, asked()) is None
    assert Hosts(2, free_memory=[1e9, 2e9]).choose(policy, asked()) == ["h2", "h1"], "other hosts, other prices"


def test_learned_finds_the_fastest_host_and_leaves_it_when_it_becomes_slow():
    policy = load("learned")["Learned"](seed=1)
    hosts = Hosts(4)
    random = np.random.default_rng(2)

    def chosen(milliseconds, rounds):
        counts = dict.fromkeys(hosts.names, 0)
        for _ in range(rounds):
            host = hosts.choose(policy, asked())[0]
            counts[host] += 1
            row = hosts.row(host)
            average = hosts.values["response_ms"]
            now = milliseconds[row] * random.uniform(0.8, 1.2)
            average[row] = now if average[row] == 0 else 0.8 * average[row] + 0.2 * now
        return counts

    chosen((20, 5, 40, 80), 200)
    settled = chosen((20, 5, 40, 80), 200)
    assert settled["h2"] > 180, settled
    chosen((20, 60, 40, 80), 200)
    assert chosen((20, 60, 40, 80), 200)["h1"] > 150
    hosts.values["error_rate"][0] = 0.5
    assert chosen((20, 60, 40, 80), 100)["h1"] < 10


def test_each_works_in_a_real_engine(tmp_path):
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"h2": 1.0}))
    environment = {**os.environ, "POLICY_PRICES": str(prices)}
    for name in ("zone_aware", "cheapest_first", "learned"):
        told = subprocess.run([sys.executable, "-B", os.path.join(FOLDER, "try_policy.py"), os.path.join(FOLDER, name + ".py"),
                               "--hosts", "3", "--containers", "4"], env=environment, check=True, text=True,
                              stdout=subprocess.PIPE).stdout.split("\n")
        assert 'outcome="used" 4' in told, (name, told)
        assert name != "cheapest_first" or told[0].split() == ["h2", "4"], told
