"""Measures one host of the user's: what its round trips are, and how often each deadline would have been too short."""
from probe_scenario import Skipped, scenario

MECHANISMS = {1: "datagram ping socket", 2: "raw ICMP socket", 3: "TCP connect", 4: "TCP SYN", 6: "UDP"}
VERDICTS = ("up", "up_port_closed", "down_unreachable", "down_timeout", "local_fault")
PERCENTILES = ("p50", "p90", "p99", "p99.9", "max")
DEADLINES_MS = (1, 2, 3, 5, 10, 20, 50, 100)


def split(target):
    """HOST, HOST:PORT or [IPV6]:PORT."""
    if target.startswith("["):
        host, _, port = target[1:].partition("]")
        return host, port.lstrip(":")
    if target.count(":") == 1:
        host, _, port = target.partition(":")
        return host, port
    return target, ""


def main(target):
    host, port = split(target)
    try:
        found = scenario("target", host=host, **({"port": port} if port else {}))
    except Skipped as why:
        print(f"skipped: {why}")
        return 2
    probes = sum(found[verdict] for verdict in VERDICTS)
    told = ", ".join(f"{found[verdict]:.0f} {verdict}" for verdict in VERDICTS if found[verdict])
    print(f"{target}: {probes:.0f} probes, one packet each, by {MECHANISMS[found['mechanism']]}: {told}")
    for name, key in (("round trip, kernel's stamp", "rtt_ms"), ("round trip, user's clock", "user_rtt_ms")):
        print(f"  {name:27}" + "".join(f"  {share} {found[f'{key}.{share}']:.3f} ms" for share in PERCENTILES))
    print("  one packet fails a deadline of")
    for deadline in DEADLINES_MS:
        print(f"    {deadline:4} ms  {found[f'later_than_{deadline}_ms_per_million']:10.0f} per million")
    return 0
