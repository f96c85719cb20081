"""Latency percentiles of probes, as a table and a PNG: plot.py HOST[:PORT] ... [--for 10] [--every 0.05] [-o percentiles.png]

All hosts are probed at once, each every so many seconds, by ICMP or, where a port is given, by a TCP handshake. What has not
answered by the deadline counts as slower than all that has, so that a percentile which is not drawn was not reached.
Needs Debian's python3-matplotlib.
"""
import argparse
import asyncio
import math

import fastcontainer

SHOWN = (50, 90, 99, 99.9)


def target(text):
    """(host, port) of "10.0.0.1", "10.0.0.1:80", "fd00::1" or "[fd00::1]:80"; the port is 0 if there is none."""
    host, _, port = text.rpartition(":")
    if not host or text.endswith("]") or (":" in host and not host.startswith("[")):
        return text.strip("[]"), 0
    return host.strip("[]"), int(port)


def percentile(times, share):
    """The time within which `share` percent were answered; `times` are sorted, infinite for what was not."""
    return times[max(0, math.ceil(len(times) * share / 100) - 1)]


async def series(prober, where, every, count, deadline):
    """Sorted round-trip times of one host in milliseconds. Probes leave on time, whether or not the last has returned."""
    host, port = where
    mechanism = fastcontainer.Mechanism.TCP_CONNECT if port else fastcontainer.Mechanism.NONE
    loop = asyncio.get_running_loop()
    begin = loop.time()
    probes = []
    for i in range(count):
        await asyncio.sleep(begin + i * every - loop.time())
        probes.append(asyncio.ensure_future(wait(prober.probe(host, port, mechanism=mechanism, deadline=deadline))))
    results = await asyncio.gather(*probes)
    return sorted(result.rtt_ns / 1e6 if result.up else math.inf for result in results)


async def wait(call):
    return await call


async def measure(targets, given):
    count = max(1, round(given.seconds / given.every))
    async with fastcontainer.Prober() as prober:
        return await asyncio.gather(*(series(prober, target(one), given.every, count, given.deadline) for one in targets))


def draw(targets, measured, path):
    import matplotlib  # only what draws needs it
    matplotlib.use("agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for name, times in zip(targets, measured):
        # Each "nine" is as wide as the one before: the tail is what is looked at.
        nines = [-math.log10(1 - (i + 0.5) / len(times)) for i in range(len(times))]
        answered = [(x, y) for x, y in zip(nines, times) if math.isfinite(y)]
        axes.plot([x for x, _ in answered], [y for _, y in answered],
                  label=f"{name} ({len(times)} probes, {len(times) - len(answered)} lost)")
    axes.set(xlabel="percentile of probes", ylabel="answered within, ms", yscale="log")
    axes.set_xticks([-math.log10(1 - share / 100) for share in SHOWN], [f"p{share:g}" for share in SHOWN])
    axes.grid(True, alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="+", metavar="HOST[:PORT]")
    parser.add_argument("--for", dest="seconds", type=float, default=10)
    parser.add_argument("--every", type=float, default=0.05)
    parser.add_argument("--deadline", type=float, default=1.0)
    parser.add_argument("-o", "--output", default="percentiles.png")
    given = parser.parse_args()
    measured = asyncio.run(measure(given.targets, given))
    print("host".ljust(24), *(f"p{share:g}".rjust(9) for share in SHOWN), "     lost")
    for name, times in zip(given.targets, measured):
        lost = sum(math.isinf(one) for one in times)
        print(name.ljust(24), *(f"{percentile(times, share):9.3f}" for share in SHOWN), f"{lost:6}/{len(times)}")
    draw(given.targets, measured, given.output)


if __name__ == "__main__":
    main()
