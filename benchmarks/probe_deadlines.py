#!/usr/bin/env python3
"""Writes docs/probe-deadlines.md and its plot: false alarms over the deadline, where delays have a heavy tail.

FASTCONTAINER_BIN=build/release/bin benchmarks/probe_deadlines.py [PROBES]   (for each point; 100,000 take five minutes)"""
import os
import sys

from probe_plot import plot
from probe_scenario import scenario

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../docs")
DEADLINES_MS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)
VARIANTS = {"one_packet": "one packet", "one_hedge": "one hedge", "two_hedges": "two hedges", "adaptive": "adaptive",
            "adaptive_hedge": "adaptive, one hedge"}

TEXT = """# How long to wait for an answer

A host that answers later than the deadline is taken for dead: a false alarm, and its containers are moved for nothing. A longer
deadline has fewer of them and lets requests to a dead host wait longer. Further packets inside the same deadline (*hedges*) have
fewer of them at the same wait: a path that was slow for one packet is seldom slow for the next.

![false alarms over the deadline](probe-deadlines.svg)

Verdict `down_timeout` per million probes of hosts that live and answer all packets, {probes:,} probes a point; in brackets the
packets that a probe took on average.

{table}

* Hedges: one at 0.3 of the deadline, or two at 0.2 and 0.5 of it (3 ms; 2 and 5 ms, at 10 ms).
* *adaptive*: the host's own round trips raise the deadline, to ten times of it at most (`deadline_max_ns`). What that costs is the
  wait for a host that is dead. Applied, median and 99th percentile:

{applied}

* 0 means: none seen, so fewer than about {bound:.0f} per million.
* Delays: drawn for each packet by itself (seed 1) by a responder on a TUN device: log-normal around {median} ms (sigma {sigma}), and for
  {tail:.1%} of the packets a Pareto tail from {from_ms} ms (exponent {exponent}); one packet in about 200 takes longer than 10 ms then.
* What it does not show: a host that stalls as a whole delays all packets of a probe. Hedges do not help there; a
  longer deadline does.
* Probes during which the responder itself was kept from its processor for more than 1 ms are not counted ({excluded} of {total:,}).
* Load average at the end of the run: {load:.1f} on {processors} processors. A prober that others keep from its processor sends its hedges
  late: where that is more than the processors' number the hedged figures are too high, most at short deadlines.

Command: `FASTCONTAINER_BIN=build/release/bin benchmarks/probe_deadlines.py {probes}`. Those at 10 ms are measured and judged by
`./benchmarks/run.sh probe`, and a host of your own by `./benchmarks/run.sh probe --target HOST`.
"""

# As in tun_responder.h.
DISTRIBUTION = {"median": 0.6, "sigma": 0.6, "tail": 0.0305, "from_ms": 3, "exponent": 1.5}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---:"] * len(head)) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def main():
    probes = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    found = {}
    for deadline in DEADLINES_MS:
        found[deadline] = scenario("delays", probes=probes, deadline_ms=deadline)
        print(deadline, {name: round(found[deadline][f"{name}.false_per_million"], 1) for name in VARIANTS}, flush=True)
    rates = table(["deadline", *VARIANTS.values()], [
        [f"{deadline} ms", *(f"{run[f'{name}.false_per_million']:,.0f} ({run[f'{name}.packets']:.2f})" for name in VARIANTS)]
        for deadline, run in found.items()])
    applied = table(["deadline", "adaptive", "adaptive, one hedge"], [
        [f"{deadline} ms", *(f"{run[f'{name}.deadline_ms_p50']:.1f} / {run[f'{name}.deadline_ms_p99']:.1f} ms"
                             for name in ("adaptive", "adaptive_hedge"))] for deadline, run in found.items()])
    excluded = sum(int(run[f"{name}.excluded"]) for run in found.values() for name in VARIANTS)
    with open(os.path.join(DOCS, "probe-deadlines.md"), "w") as file:
        file.write(TEXT.format(probes=probes, table=rates, applied=applied, excluded=excluded, bound=3e6 / probes,
                               load=os.getloadavg()[0], processors=os.cpu_count(),
                               total=probes * len(VARIANTS) * len(DEADLINES_MS), **DISTRIBUTION))
    with open(os.path.join(DOCS, "probe-deadlines.svg"), "w") as file:
        file.write(plot({label: [(deadline, run[f"{name}.false_per_million"]) for deadline, run in found.items()]
                         for name, label in VARIANTS.items()}, least=1e6 / probes))


if __name__ == "__main__":
    main()
