"""The CMDB's drivers against raw clients of the same stores, and the router's cache against a hash map.

`cmdb --placements N`: how many are synchronised from etcd; 0: none."""
import json
import os
import signal
import subprocess
import sys

import cmdb_servers
from google_benchmark import medians
from row import Row

BIN = os.environ["FASTCONTAINER_BIN"]
OPTIONS = {"--placements": "1000000"}
# Of what may not be installed here: then its goals are neither met nor missed.
GOALS = {"etcd": ("get", "compare_and_set", "event_beyond", "synchronisation"),
         "postgresql": ("get", "compare_and_set", "event_beyond")}


def measure(program, *arguments):
    """{name: (library, raw)} in nanoseconds"""
    out = subprocess.run([f"{BIN}/{program}", *arguments], check=True, stdout=subprocess.PIPE, text=True,
                         preexec_fn=lambda: os.sched_setaffinity(0, cmdb_servers.cpus()[0])).stdout
    return {name: (float(library), float(raw)) for name, library, raw in map(str.split, out.splitlines())}


def store(name, against, found):
    for kind in ("get", "compare_and_set", "event"):
        library, raw = (time / 1e3 for time in found[f"{name}_{kind}"])
        yield Row("cmdb", f"{name}_{kind}", library, "us", raw, against)
        if kind == "event" or name == "sqlite":
            yield Row("cmdb", f"{name}_{kind}_beyond", library - raw, "us")


def etcd():
    with cmdb_servers.etcd() as port:
        found = measure("benchmark_cmdb_etcd", str(port), OPTIONS["--placements"])
    yield from store("etcd", "frames by hand, epoll", found)
    library, raw = (time / 1e3 for time in found["etcd_get_blocking"])
    yield Row("cmdb", "etcd_get_blocking", library, "us", raw, "frames by hand, a blocking socket")
    if "etcd_synchronisation" not in found:
        yield Row("cmdb", "etcd_synchronisation", skipped="no placements were wanted")
        return
    library, raw = (time / 1e9 for time in found["etcd_synchronisation"])
    yield Row("cmdb", "etcd_synchronisation", library, "s", raw, "the same 256 ranges, counted")


def postgresql():
    with cmdb_servers.postgresql() as url:
        yield from store("postgresql", "libpq, blocking", measure("benchmark_cmdb_postgresql", url))


def rows():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through the ends of all servers and folders
    for name, there, run in (("etcd", cmdb_servers.etcd_program(), etcd),
                             ("postgresql", cmdb_servers.postgresql_programs(), postgresql)):
        if there and os.path.exists(f"{BIN}/benchmark_cmdb_{name}"):
            yield from run()
        else:
            yield from (Row("cmdb", f"{name}_{kind}", skipped=f"{name} is not installed") for kind in GOALS[name])
    with cmdb_servers.folder() as path:
        yield from store("sqlite", "sqlite3", measure("benchmark_cmdb_sqlite", path))
    routes = medians("benchmark_route", "--cached", repetitions=5)
    route = routes["RouteAndEnd"]["cpu_time"]
    for name, bare, how in (
        ("cached_route", "BareLookupOneByOne", "one look-up after another"),
        ("cached_route_overlapped", "BareLookup", "look-ups that overlap in the processor"),
    ):
        yield Row("cmdb", name, route, "ns", routes[bare]["cpu_time"], f"absl::flat_hash_map, 1,000,000 keys, {how}")
    cache = json.loads(subprocess.run([f"{BIN}/benchmark_cache"], check=True, stdout=subprocess.PIPE, text=True).stdout)
    yield Row("cmdb", "cached_route_memory", cache["bytes"], "bytes besides the key")
