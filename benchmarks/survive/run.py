"""Runs the matrix: run.py [--proxy NAME...] [--fault NAME...] [--load NAME...] [--full] [--add] [--out FOLDER] [--write-docs].

By default every proxy meets every fault under one load, and every load under one fault; a list of faults or loads is crossed
with the other, --full is all of both. The proxies are interleaved, so that each meets the same machine. Exit status 1: ours failed
a request or waited longer than it may."""
import argparse
import os
import platform
import shutil
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, ".."), os.path.join(HERE, "../../tests/deployment")]
import cell
import netns
import report
from faults import FAULTS
from loads import LOADS
from proxies import proxies

USUAL_LOAD, USUAL_FAULT = "closed-64", "drop"


def arguments(known):
    parser = argparse.ArgumentParser(prog="benchmarks/survive/run.sh", description="A host dies; what do users see?")
    parser.add_argument("--proxy", nargs="+", choices=list(known), metavar="NAME", help=" ".join(known))
    parser.add_argument("--fault", nargs="+", choices=list(FAULTS), metavar="NAME", help=" ".join(FAULTS))
    parser.add_argument("--load", nargs="+", choices=list(LOADS), metavar="NAME", help=" ".join(LOADS))
    parser.add_argument("--full", action="store_true", help="every fault under every load")
    parser.add_argument("--add", action="store_true", help="keep what the folder has of other runs, and add to it")
    parser.add_argument("--out", default="build/survive-results", help="folder of the results (build/survive-results)")
    parser.add_argument("--write-docs", action="store_true", help="the tables go into README.md and docs/survive.md, too")
    return parser.parse_args()


def matrix(options):
    """[(fault, load)]"""
    faults, loads = options.fault or list(FAULTS), options.load or list(LOADS)
    if options.full or (options.fault and options.load):
        return [(fault, load) for load in loads for fault in faults]
    if options.fault:
        return [(fault, USUAL_LOAD) for fault in faults]
    if options.load:
        return [(USUAL_FAULT, load) for load in loads]
    return [(fault, USUAL_LOAD) for fault in faults] + [(USUAL_FAULT, load) for load in loads if load != USUAL_LOAD]


def installed(known, names):
    for name in names:
        if shutil.which(known[name].program):
            yield name
        else:
            print(f"{name} is left out: {known[name].program} is not installed", file=sys.stderr)


def run_cells(known, names, pairs, folder):
    begin, count = time.monotonic(), len(pairs) * len(names)
    done = 0
    for fault, load in pairs:
        for name in names:
            done += 1
            try:
                result = cell.run(name, known[name], FAULTS[fault], LOADS[load], folder)
            except Exception:  # pylint: disable=broad-except
                traceback.print_exc()
                print(f"{name} {fault} {load}: not measured", file=sys.stderr, flush=True)
                continue
            print(f"[{done}/{count}, {time.monotonic() - begin:.0f} s] {report.line(result)}", flush=True)
            yield result


def main():
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    known = proxies()
    options = arguments(known)
    names = list(installed(known, options.proxy or list(known)))
    netns.delete_stale()
    os.makedirs(os.path.join(options.out, "ledgers"), exist_ok=True)
    cells = report.read(options.out) if options.add else []
    pairs = matrix(options)
    run = []
    for result in run_cells(known, names, pairs, os.path.join(options.out, "ledgers")):
        run.append(result)
        cells = [cell for cell in cells if not cell.same_place(result)] + [result]
        report.write(cells, known, options.out)  # an interrupted run has what it has measured
    if not cells:
        return 1
    with open(os.path.join(options.out, "table.md")) as table:
        print(table.read())
    print(f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}; all results: {options.out}")
    if options.write_docs:
        report.write_docs(options.out, os.path.join(HERE, "../.."))
    expected = len(pairs) * names.count("fastcontainer")
    mine = [result for result in run if result.proxy == "fastcontainer"]
    missed = report.misses(mine)
    print("\n".join(["ours misses its goal:", *missed]) if missed else "ours meets its goals")
    return 1 if missed or len(mine) < expected else 0


if __name__ == "__main__":
    sys.exit(main())
