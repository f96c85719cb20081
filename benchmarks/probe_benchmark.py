"""One answered ICMP probe through the C API, against bare sendto and recvmsg."""
from google_benchmark import medians
from row import Row


def rows():
    runs = medians("benchmark_probe")
    floor = next(run for name, run in runs.items() if "Bare" in name)
    probe = next(run for name, run in runs.items() if "Bare" not in name)
    yield Row("probe", "answered", probe["real_time"], "ns", floor["real_time"], "bare sendto + recvmsg")
