"""Runs benchmarks by name, compares them with goals.json, and prints one table.

A benchmark is a module here with rows(): an iterable of Row. Every figure is set against a floor or a peer of the same run.
The exit code is 1 if a goal is missed, else 2 if one could not be judged here.
`probe --target HOST[:PORT]` measures a host of yours instead, in the machine's own network;
`cmdb --placements N` synchronises so many from etcd, and not 1,000,000."""
import importlib
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../tests/deployment")]
NAMES = ("probe", "route", "relocation", "proxy", "peers", "crowd", "cmdb", "python")


def judge(row, goals):
    """(goal as text, "ok", "MISSED" or "skipped: why")"""
    goal = goals.get(row.benchmark, {}).get(row.name)
    bound = next((key for key in ("at_most", "at_least") if key in goal), None) if goal else None
    text = f"{goal['of']} {'<=' if bound == 'at_most' else '>='} {goal[bound]:g}" if goal else "-"
    if row.skipped:
        return text, f"skipped: {row.skipped}"
    if goal is None:
        return text, "ok"
    value = row.figure if goal["of"] == "figure" else row.ratio
    met = value <= goal[bound] if bound == "at_most" else value >= goal[bound]
    return text, "ok" if met else "MISSED"


def cells(row, goal, verdict):
    figure = "-" if row.skipped else f"{row.figure:.4g} {row.unit}"
    floor = f"{row.floor:.4g} {row.unit} ({row.against})" if row.floor else "-"
    return f"{row.benchmark}.{row.name}", figure, floor, f"{row.ratio:.3f}" if row.floor else "-", goal, verdict


def main():
    names = sys.argv[1:] or NAMES
    if names[0] == "probe" and names[1:2] == ["--target"] and len(names) == 3:
        return importlib.import_module("probe_target").main(names[2])
    if names[0] == "cmdb" and names[1:2] == ["--placements"] and len(names) == 3 and names[2].isdigit():
        importlib.import_module("cmdb_benchmark").OPTIONS["--placements"] = names[2]
        names = names[:1]
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"unknown benchmark {' '.join(unknown)}; there are {' '.join(NAMES)}")
    with open(os.path.join(HERE, "goals.json")) as file:
        goals = json.load(file)
    table, missed, skipped = [("name", "figure", "floor or peer", "ratio", "goal", "")], 0, 0
    for name in names:
        for row in importlib.import_module(name + "_benchmark").rows():
            goal, verdict = judge(row, goals)
            missed += verdict == "MISSED"
            skipped += goal != "-" and bool(row.skipped)
            table.append(cells(row, goal, verdict))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    if skipped:
        print(f"{skipped} goal(s) could not be judged here")
    return 1 if missed else 2 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
