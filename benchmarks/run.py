"""Runs benchmarks by name, compares them with goals.json, and prints one table.

A benchmark is a module here with rows(): an iterable of Row. Every figure is set against a floor or a peer of the same run."""
import importlib
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../tests/deployment")]
NAMES = ("probe", "route", "relocation", "proxy")


def judge(row, goals):
    """(goal as text, met?)"""
    goal = goals.get(row.benchmark, {}).get(row.name)
    if goal is None:
        return "-", True
    value = row.figure if goal["of"] == "figure" else row.ratio
    if "at_most" in goal:
        return f"{goal['of']} <= {goal['at_most']:g}", value <= goal["at_most"]
    return f"{goal['of']} >= {goal['at_least']:g}", value >= goal["at_least"]


def main():
    names = sys.argv[1:] or NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"unknown benchmark {' '.join(unknown)}; there are {' '.join(NAMES)}")
    with open(os.path.join(HERE, "goals.json")) as file:
        goals = json.load(file)
    table, missed = [("name", "figure", "floor or peer", "ratio", "goal", "")], 0
    for name in names:
        for row in importlib.import_module(name + "_benchmark").rows():
            goal, met = judge(row, goals)
            missed += not met
            table.append((f"{row.benchmark}.{row.name}", f"{row.figure:.4g} {row.unit}",
                          f"{row.floor:.4g} {row.unit} ({row.against})" if row.floor else "-",
                          f"{row.ratio:.3f}" if row.floor else "-", goal, "ok" if met else "MISSED"))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
