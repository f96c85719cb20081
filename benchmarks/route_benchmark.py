"""A warm route and the end of its ticket, against a bare hash map look-up of the same keys."""
from google_benchmark import medians
from row import Row


def rows():
    runs = medians("benchmark_route")  # exits 1 if a warm route makes a system call
    route, bare = runs["RouteAndEnd"], runs["BareLookup"]
    yield Row("route", "route_and_end", route["real_time"], "ns", bare["real_time"], "absl::flat_hash_map")
    yield Row("route", "allocations", route["allocations_per_route"], "a route")
