"""python3 -m runtime_crun --host h12 --cmdb URL --address 10.1.0.12 --state DIR --images DIR"""
from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys

import fastcontainer as fc

from .crun import Crun
from .runtime import CrunRuntime


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="runtime_crun", description="The dispatcher of a host whose containers crun runs.")
    parser.add_argument("--host", required=True, help="its id in the CMDB")
    parser.add_argument("--cmdb", required=True, metavar="URL")
    parser.add_argument("--address", default="", help="numeric, of the containers; default: as in the host's record")
    parser.add_argument("--state", required=True, metavar="DIR", help="survives restarts: what runs here is found again by it")
    parser.add_argument("--images", required=True, metavar="DIR", help="root filesystems, by the name in environment.IMAGE")
    parser.add_argument("--cluster-key", default="", metavar="FILE", help="without it only loopback is spoken to")
    parser.add_argument("--cgroups", default="cgroupfs", choices=("cgroupfs", "systemd", "disabled"),
                        help="crun's way to cgroups; disabled: limits are not enforced; default: %(default)s")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    bundles = os.path.join(os.path.abspath(arguments.state), "bundles")
    os.makedirs(bundles, mode=0o700, exist_ok=True)
    runtime = CrunRuntime(Crun(os.path.join(os.path.abspath(arguments.state), "crun"), arguments.cgroups), bundles,
                          os.path.abspath(arguments.images))
    async with fc.Engine(arguments.cmdb, name=arguments.host, cluster_key_file=arguments.cluster_key) as engine:
        async with fc.Dispatcher(engine, arguments.host, address=arguments.address, runtime=runtime):
            print("ready", flush=True)
            await ended.wait()  # the containers go on: the next start of this program takes them over


def main() -> int:
    """Exit status 1: it could not serve."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        asyncio.run(_serve(_parsed()))
    except (fc.Error, OSError) as error:
        print(f"runtime_crun: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
