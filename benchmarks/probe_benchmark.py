"""One answered ICMP probe through the C API, against bare sendto and recvmsg."""
from google_benchmark import medians
from row import Row


def rows():
    runs = medians("benchmark_probe")
    floor, probe = runs["BM_Floor"], runs["BM_Probe"]
    yield Row("probe", "answered", probe["real_time"], "ns", floor["real_time"], "bare sendto + recvmsg")
