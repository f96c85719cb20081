"""The prober: one probe, many, beside other processes, and how often it is wrong."""
from google_benchmark import medians
from probe_scenario import Skipped, scenario
from row import Row

PATHS = ("loopback", "veth")
MECHANISMS = ("datagram", "raw", "tcp_syn", "tcp_connect")
# Below this a ratio of false alarms says nothing.
ENOUGH_FALSE_ALARMS = 20

# A machine whose own timers are later than this is not idle.
IDLE_MS = 0.2


def single():
    runs = medians("benchmark_probe", repetitions=9, min_time=0.1)

    def compare(name, measured, floor, against):
        for run in (measured, floor):
            if "p50" not in runs.get(run, {}):
                return Row("probe", name, skipped=runs.get(run, {}).get("error", "liboping-dev is not installed"))
        return Row("probe", name, runs[measured]["p50"], "ns", runs[floor]["p50"], against)

    for path in PATHS:
        yield compare(f"answered_{path}", f"probe_{path}", f"floor_{path}", "bare sendto + recvmsg")
        yield compare(f"new_socket_{path}", f"probe_{path}", f"new_socket_{path}", "a raw socket per call")
        yield compare(f"oping_{path}", f"probe_{path}", f"oping_{path}", "liboping")
    yield compare("crowded", "crowded_veth", "probe_veth", "alone")
    yield compare("crowded_peer", "crowded_raw_veth", "new_socket_veth", "alone")


def overshoot():
    found = scenario("overshoot")
    for share in ("p50", "p99"):
        timer = found[f"timer.{share}_ms"]
        if timer > IDLE_MS:
            yield from skipped((f"overshoot_{share}",), f"not idle: a timerfd alone is {timer:.2f} ms late")
        else:
            yield Row("probe", f"overshoot_{share}", found[f"ours.{share}_ms"], "ms", timer, "a timerfd alone")
        if f"receive_timeout.{share}_ms" in found:
            yield Row("probe", f"overshoot_peer_{share}", found[f"receive_timeout.{share}_ms"], "ms", timer,
                      "SO_RCVTIMEO against it")
    yield Row("probe", "overshoot_wrong", found["wrong"], "verdicts")


def mass():
    found = scenario("mass")
    if "fping.per_second" in found:
        yield Row("probe", "batch_rate", found["batch.per_second"], "probes/s", found["fping.per_second"], "fping")
        yield Row("probe", "batch_cpu", found["batch.cpu_ns"], "ns", found["fping.cpu_ns"], "fping")
        yield Row("probe", "fping_lost", found["fping.lost"], "answers")
    else:
        yield from skipped(("batch_rate", "batch_cpu"), "fping is not installed, or fails")
    yield Row("probe", "batch_floor", found["batch.cpu_ns"], "ns", found["bare.cpu_ns"], "bare sendmmsg + recvmmsg")
    yield Row("probe", "batch_lost", found["batch.lost"], "answers")


def hogs():
    found = scenario("hogs")
    if found["user_clock"] < ENOUGH_FALSE_ALARMS:
        yield from skipped(("hogs",), f"the user's clock was wrong {found['user_clock']:.0f} times: no ratio")
    else:
        yield Row("probe", "hogs", found["ours"], "false alarms", found["user_clock"],
                  f"user's clock, {found['probes']:.0f} probes")
    yield Row("probe", "busy_loop", found["busy_loop"], "false of 100")


def delays():
    found = scenario("delays")
    one = found["one_packet.false_per_million"]
    for name in ("one_hedge", "two_hedges", "adaptive", "adaptive_hedge"):
        yield Row("probe", name, found[f"{name}.false_per_million"], "false per million", one, "one packet")


def callers():
    found = scenario("callers")
    yield Row("probe", "callers_packets", found["packets"], "packets", found["callers"], "callers")
    yield Row("probe", "callers_wrong", found["not_up"], "verdicts")


def floods():
    found = scenario("floods")
    kinds = [("pinged", name) for name in MECHANISMS[:2]]
    kinds += [(kind, name) for kind in ("ping_flood", "tcp_flood") for name in MECHANISMS]
    for kind, name in kinds:
        if f"{kind}.{name}" in found:
            yield Row("probe", f"{kind}_{name}", found[f"{kind}.{name}"], "verdicts",
                      found.get(f"{kind}.new_socket", 0.0), "a raw socket per call")
        else:
            yield from skipped((f"{kind}_{name}",), "not permitted here")
    for kind in ("ping_flood", "tcp_flood"):
        yield Row("probe", f"{kind}_rate", found[f"{kind}.per_second"], "packets/s")


SCENARIOS = (
    (overshoot, ("overshoot_p99", "overshoot_wrong")),
    (mass, ("batch_rate", "batch_cpu", "batch_lost")),
    (hogs, ("hogs", "busy_loop")),
    (delays, ("one_hedge", "two_hedges")),
    (callers, ("callers_packets", "callers_wrong")),
    (floods, tuple(f"{kind}_{name}" for kind in ("ping_flood", "tcp_flood") for name in MECHANISMS)
     + ("pinged_datagram", "pinged_raw")),
)


def skipped(names, why):
    for name in names:
        yield Row("probe", name, skipped=why)


def rows():
    yield from single()
    for measure, names in SCENARIOS:
        try:
            yield from measure()
        except Skipped as why:
            yield from skipped(names, str(why))
