"""What a run has seen, as tables, CSV and plots."""
import csv
import dataclasses
import json
import math
import os

import plots
from cell import Cell, WARM
from faults import FAULTS
from loads import LOADS

OURS = "fastcontainer"
BEYOND_MS = 20.0
BEGIN, END = "<!-- survive: begin -->\n", "<!-- survive: end -->\n"


def bound_ms(cell):
    """What ours may take: the verdict's deadline (which follows a slow dispatcher, docs/design.md), the container's start under
    this load, what an answer takes anyway, also on a host that has never given it, and 20 ms."""
    return cell.verdict_ms + cell.start_ms + max(cell.usual_ms, cell.first_ms) + BEYOND_MS


def missed(cell):
    """Why a cell of ours misses its goal; nothing if it does not."""
    lost = cell.failed - cell.in_flight
    if lost:
        yield f"{lost} failed"
    if cell.twice:
        yield f"{cell.twice} POSTs were served twice"
    if cell.fault != "none" and cell.pause_ms > bound_ms(cell):
        yield f"a pause of {cell.pause_ms:.0f} ms, and not within {bound_ms(cell):.0f} ms"


def misses(cells):
    return [f"{cell.fault}/{cell.load}: {why}" for cell in cells if cell.proxy == OURS for why in missed(cell)]


# ---- text --------------------------------------------------------------------------------------------

def duration(ms, endless=False):
    if math.isinf(ms):
        return "never"
    text = f"{ms / 1e3:.1f} s" if ms >= 1000 else f"{ms:.0f} ms"
    return f"> {text}" if endless else text


def outcomes(cell):
    bad = {outcome: count for outcome, count in cell.outcomes.items() if outcome[0] not in "123"}
    return ", ".join(f"{count} × {outcome}" for outcome, count in sorted(bad.items(), key=lambda item: -item[1])[:3])


def line(cell):
    failures = f" ({outcomes(cell)})" if outcomes(cell) else ""
    return (f"{cell.proxy} {cell.fault} {cell.load}: {cell.failed:,} of {cell.requests:,} failed{failures}, "
            f"longest pause {duration(cell.pause_ms, cell.endless)}, recovery {duration(cell.recovery_ms)}"
            + (f", may take {bound_ms(cell):.0f} ms" if cell.proxy == OURS and cell.fault != "none" else ""))


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def named(names, table):
    """In the order of the table."""
    return [name for name in table if name in names]


def compared(cells):
    """Those in which every proxy met the same."""
    names = {cell.proxy for cell in cells}
    met = {name: {(cell.fault, cell.load) for cell in cells if cell.proxy == name} for name in names}
    common = set.intersection(*met.values()) if met else set()
    return [cell for cell in cells if (cell.fault, cell.load) in common]


def summary(cells, known):
    """One row a proxy, over all cells in which a host died."""
    cells = compared(cells)
    rows = []
    for name in named({cell.proxy for cell in cells}, known):
        mine = [cell for cell in cells if cell.proxy == name and cell.fault != "none"]
        if not mine:
            continue
        worst = max(mine, key=lambda cell: (cell.endless, cell.pause_ms))
        pauses = sorted(cell.pause_ms for cell in mine)
        rows.append([f"**{name}**" if name == OURS else name, str(known[name].containers), f"{sum(cell.failed for cell in mine):,}",
                     f"{sum(cell.failed > cell.in_flight for cell in mine)} of {len(mine)}",
                     duration(pauses[len(pauses) // 2]), duration(worst.pause_ms, worst.endless),
                     str(sum(math.isinf(cell.recovery_ms) for cell in mine)),
                     f"{sum(cell.memory_mb for cell in mine) / len(mine):.0f} MB"])
    return markdown(["proxy", "containers", "requests failed", "runs with a failure", "longest pause: median", "worst",
                     "never recovered", "memory"], rows)


def crossed(cells, known, along, table, of):
    """A table of the proxies over the faults (of one load) or the loads (of one fault)."""
    present = named({getattr(cell, along) for cell in cells}, table)
    names = named({cell.proxy for cell in cells}, known)
    rows = []
    for key in present:
        at = {cell.proxy: cell for cell in cells if getattr(cell, along) == key}
        rows.append([key, *(of(at[name]) if name in at else "–" for name in names)])
    return markdown([along, *names], rows)


def short(cell):
    text = f"{cell.failed:,} · {duration(cell.pause_ms, cell.endless)}"
    return f"**{text}**" if not cell.failed else text


def details(cells, known):
    rows = [[cell.proxy, cell.fault, cell.load, f"{cell.requests:,}", f"{cell.failed:,}", outcomes(cell) or "–",
             duration(cell.pause_ms, cell.endless), duration(cell.recovery_ms), str(cell.broken or "–"),
             str(cell.twice) if LOADS[cell.load].posts else "–", f"{cell.memory_mb:.0f}",
             f"{bound_ms(cell):.0f} ms" if cell.start_ms else "–", f"{cell.late_ms:.0f} ms"]
            for cell in sorted(cells, key=lambda c: (list(LOADS).index(c.load), list(FAULTS).index(c.fault), list(known).index(c.proxy)))]
    return markdown(["proxy", "fault", "load", "requests", "failed", "how", "longest pause", "recovery", "WebSockets broken",
                     "POSTs twice", "MB", "ours may pause", "load late"], rows)


# ---- files -------------------------------------------------------------------------------------------

def read(folder):
    """What write() has left there."""
    try:
        with open(os.path.join(folder, "cells.json")) as file:
            return [Cell(**value) for value in json.load(file)]
    except FileNotFoundError:
        return []


def write(cells, known, folder):
    with open(os.path.join(folder, "cells.json"), "w") as file:
        json.dump([dataclasses.asdict(cell) for cell in cells], file)
    write_csv(cells, folder)
    with open(os.path.join(folder, "summary.md"), "w") as file:
        file.write(summary(cells, known))
    with open(os.path.join(folder, "table.md"), "w") as file:
        file.write(text(cells, known))
    plots.write(compared(cells), named({cell.proxy for cell in cells}, known), folder, WARM)


def ours(cells):
    """Faults over loads."""
    loads = named({cell.load for cell in cells}, LOADS)
    rows = []
    for fault in named({cell.fault for cell in cells}, FAULTS):
        at = {cell.load: cell for cell in cells if cell.fault == fault}
        rows.append([fault, *(short(at[load]) if load in at else "–" for load in loads)])
    return markdown(["fault", *loads], rows)


def text(cells, known):
    every = cells
    cells = compared(every)
    parts = [summary(cells, known)]
    for load in named({cell.load for cell in cells}, LOADS):
        mine = [cell for cell in cells if cell.load == load]
        if len({cell.fault for cell in mine}) > 1:
            parts.append(f"Under {LOADS[load].what} (`{load}`), failed · longest pause:\n\n"
                         + crossed(mine, known, "fault", FAULTS, short))
    for fault in named({cell.fault for cell in cells}, FAULTS):
        mine = [cell for cell in cells if cell.fault == fault]
        if len({cell.load for cell in mine}) > 1:
            parts.append(f"When {FAULTS[fault].what} (`{fault}`), failed · longest pause:\n\n"
                         + crossed(mine, known, "load", LOADS, short))
    if len(every) > len(cells):
        mine = [cell for cell in every if cell.proxy == OURS]
        parts.append(f"{OURS}, every fault under every load, failed · longest pause:\n\n" + ours(mine))
        parts.append("Of these, our goal is missed by: " + ("; ".join(misses(mine)) or "none") + ".\n")
    parts.append("Every run that all have met:\n\n" + details(cells, known))
    return "\n".join(parts)


def write_csv(cells, folder):
    with open(os.path.join(folder, "cells.csv"), "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["proxy", "fault", "load", "requests", "failed", "pause_ms", "endless", "recovery_ms", "usual_ms", "broken", "twice",
                      "containers", "memory_mb", "verdict_ms", "start_ms", "first_ms", "late_ms", "outcomes"])
        for cell in cells:
            out.writerow([cell.proxy, cell.fault, cell.load, cell.requests, cell.failed, f"{cell.pause_ms:.3f}",
                          int(cell.endless), f"{cell.recovery_ms:.0f}", f"{cell.usual_ms:.3f}", cell.broken, cell.twice, cell.containers,
                          f"{cell.memory_mb:.1f}", f"{cell.verdict_ms:.1f}", f"{cell.start_ms:.1f}", f"{cell.first_ms:.1f}", f"{cell.late_ms:.3f}",
                          "; ".join(f"{count} {outcome}" for outcome, count in cell.outcomes.items())])
    with open(os.path.join(folder, "seconds.csv"), "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["proxy", "fault", "load", "second", "ok", "failed", "slowest_ms"])
        for cell in cells:
            for second, ok, failed, slowest in cell.seconds:
                out.writerow([cell.proxy, cell.fault, cell.load, second, ok, failed, f"{slowest:.3f}"])


def write_docs(folder, root):
    """The summary between its marks in README.md, all of it in docs/survive.md with its plots."""
    for page, source in (("README.md", "summary.md"), ("docs/survive.md", "table.md")):
        path = os.path.join(root, page)
        with open(path) as file:
            before, _, rest = file.read().partition(BEGIN)
        _, mark, after = rest.partition(END)
        assert mark, f"{page} has no marks for the table"
        with open(os.path.join(folder, source)) as file:
            table = file.read()
        with open(path, "w") as file:
            file.write(before + BEGIN + table + END + after)
    for name in plots.NAMES:
        with open(os.path.join(folder, name)) as source, open(os.path.join(root, "docs", name), "w") as target:
            target.write(source.read())
