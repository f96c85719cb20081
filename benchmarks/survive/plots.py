"""Two plots: what each fault costs with each proxy, and what one loss looks like second by second."""
import os

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
matplotlib.rcParams["svg.hashsalt"] = "survive"  # the same file for the same figures
import matplotlib.pyplot as pyplot

PAUSES, SECONDS = "survive-pauses.svg", "survive-seconds.svg"
NAMES = (PAUSES, SECONDS)
NEVER_MS = 20_000.0
COLOURS = ("#1f6fb4", "#b0b0b0", "#777777", "#f0b37a", "#c25b00", "#8fce9f", "#12803c", "#c79be0", "#8a3fb0")


def write(cells, names, folder, warm):
    colours = {name: COLOURS[i % len(COLOURS)]
               for i, name in enumerate(sorted(names, key=lambda name: name != "fastcontainer"))}
    usual = most_common([cell.load for cell in cells])
    pauses([cell for cell in cells if cell.load == usual and cell.fault != "none"], names, colours, os.path.join(folder, PAUSES))
    mine = [cell for cell in cells if cell.load == usual]
    fault = "drop" if any(cell.fault == "drop" for cell in mine) else mine[0].fault
    seconds([cell for cell in mine if cell.fault == fault], colours, os.path.join(folder, SECONDS), warm)


def most_common(values):
    return max(dict.fromkeys(values), key=values.count)


def pauses(cells, names, colours, path):
    """Longest pause, recovery and failures, as bars over the faults."""
    faults = list(dict.fromkeys(cell.fault for cell in cells))
    panels = (("longest pause, ms", lambda cell: max(1.0, cell.pause_ms)),
              ("recovery, ms (to the top: never)", lambda cell: max(1.0, min(cell.recovery_ms, NEVER_MS))),
              ("requests failed", lambda cell: max(0.5, cell.failed)))
    figure, all_axes = pyplot.subplots(len(panels), 1, figsize=(10, 8.4), layout="constrained", sharex=True)
    for axes, (label, value) in zip(all_axes, panels):
        bars(axes, cells, names, colours, faults, value)
        axes.set_ylabel(label)
    for axes in all_axes[:2]:
        axes.set_ylim(10, NEVER_MS)
    all_axes[2].set_ylim(bottom=0.7)  # none: no bar
    all_axes[2].set_xticks(range(len(faults)), faults)
    all_axes[0].legend(ncols=4, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0))
    save(figure, path)


def bars(axes, cells, names, colours, faults, value):
    width = 0.85 / max(1, len(names))
    for i, name in enumerate(names):
        mine = {cell.fault: cell for cell in cells if cell.proxy == name}
        at = [j - 0.42 + width * (i + 0.5) for j, fault in enumerate(faults) if fault in mine]
        axes.bar(at, [value(mine[fault]) for fault in faults if fault in mine], width, color=colours[name], label=name)
    axes.set_yscale("log")
    axes.grid(axis="y", color="#e5e5e5")
    axes.set_axisbelow(True)


def seconds(cells, colours, path, warm):
    """Answers a second, relative to before the loss."""
    figure, axes = pyplot.subplots(figsize=(10, 3.6), layout="constrained")
    for cell in cells:
        usual = max([ok for second, ok, _, _ in cell.seconds if second < warm] or [1])
        whole = cell.seconds[:-1] if len(cell.seconds) > 1 else cell.seconds  # the last one is cut short
        axes.plot([second + 0.5 for second, *_ in whole], [100 * ok / max(1, usual) for _, ok, *_ in whole],
                  color=colours[cell.proxy], linewidth=2.5 if cell.proxy == "fastcontainer" else 1.4, label=cell.proxy)
    axes.axvline(warm, color="#cc0000", linestyle="--", linewidth=1)
    axes.set_xlabel("seconds (dashed: the host dies)")
    axes.set_ylabel("answers, % of before")
    axes.set_ylim(bottom=0)
    axes.grid(color="#e5e5e5")
    axes.legend(ncols=4, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0))
    save(figure, path)


def save(figure, path):
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
