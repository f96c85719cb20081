"""Runs a Google Benchmark program, its benchmarks interleaved at random, and gives medians."""
import json
import os
import statistics
import subprocess

BIN = os.environ["FASTCONTAINER_BIN"]


def medians(program, *arguments, repetitions=9, min_time=0.3):
    """{benchmark: {"real_time": ns, counter: value, ...}}, each a median over the repetitions; {"error": why} for what
    could not run."""
    out = subprocess.run([f"{BIN}/{program}", *arguments, "--benchmark_format=json", f"--benchmark_repetitions={repetitions}",
                          f"--benchmark_min_time={min_time}", "--benchmark_enable_random_interleaving=true"],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    runs, errors = {}, {}
    for run in json.loads(out)["benchmarks"]:
        name = run["name"].split("/")[0]
        if run.get("error_occurred"):
            errors[name] = {"error": run["error_message"]}
        elif run["run_type"] == "iteration":
            runs.setdefault(name, []).append(run)
    return {name: {key: statistics.median(run[key] for run in found)
                   for key, value in found[0].items() if isinstance(value, (int, float))}
            for name, found in runs.items()} | errors
