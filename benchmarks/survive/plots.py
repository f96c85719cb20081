"""Two plots: the longest pause of each proxy under each fault, and what one loss looks like second by second."""
import os

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
matplotlib.rcParams["svg.hashsalt"] = "survive"  # the same file for the same figures
import matplotlib.pyplot as pyplot

PAUSES, SECONDS = "survive-pauses.svg", "survive-seconds.svg"
NAMES = (PAUSES, SECONDS)
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
    """Bars, logarithmic; a cross on top: somebody waited in vain."""
    figure, axes = pyplot.subplots(figsize=(10, 4.4), layout="constrained")
    faults = list(dict.fromkeys(cell.fault for cell in cells))
    width = 0.85 / max(1, len(names))
    for i, name in enumerate(names):
        mine = {cell.fault: cell for cell in cells if cell.proxy == name}
        at = [j - 0.42 + width * (i + 0.5) for j, fault in enumerate(faults) if fault in mine]
        shown = [mine[fault] for fault in faults if fault in mine]
        axes.bar(at, [max(1.0, cell.pause_ms) for cell in shown], width, color=colours[name], label=name)
        failed = [(x, max(1.0, cell.pause_ms)) for x, cell in zip(at, shown) if cell.failed]
        axes.plot([x for x, _ in failed], [y * 1.25 for _, y in failed], "x", color="#cc0000", markersize=4)
    axes.set_yscale("log")
    axes.set_ylim(bottom=10)
    axes.set_ylabel("longest pause, ms (×: requests failed)")
    axes.set_xticks(range(len(faults)), faults)
    axes.grid(axis="y", color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.legend(ncols=4, frameon=False, loc="upper left", bbox_to_anchor=(0, 1.18))
    save(figure, path)


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
    axes.legend(ncols=4, frameon=False, loc="upper left", bbox_to_anchor=(0, 1.22))
    save(figure, path)


def save(figure, path):
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
