"""Runs one scenario of benchmark_probe_scenarios."""
import json
import os
import subprocess

BIN = os.environ["FASTCONTAINER_BIN"]


class Skipped(Exception):
    """It cannot run here; the message says why."""


def scenario(name, **options):
    """Its figures by name; `options` as --options, with - for _."""
    arguments = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    out = subprocess.run([f"{BIN}/benchmark_probe_scenarios", name, *arguments], check=True, stdout=subprocess.PIPE,
                         text=True, timeout=600).stdout
    found = json.loads(out)
    if "skipped" in found:
        raise Skipped(found["skipped"])
    return found
