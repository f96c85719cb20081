"""python3 -m orchestrator --cmdb URL --listen ADDRESS:PORT --tokens FILE"""
from __future__ import annotations

import argparse
import logging
import os
import sys

import uvicorn  # type: ignore[import]

from .app import Settings, application


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="orchestrator", description="The control plane of a small cloud.")
    parser.add_argument("--cmdb", default=os.environ.get("FASTCONTAINER_CMDB"), help="URL; default: $FASTCONTAINER_CMDB")
    parser.add_argument("--listen", default="127.0.0.1:8090", metavar="ADDRESS:PORT", help="default: %(default)s")
    parser.add_argument("--tokens", required=True, metavar="FILE", help="lines of: read|write NAME SHA256-OF-TOKEN")
    parser.add_argument("--name", default="", help="in records and logs, no two alike; default: machine, process, random")
    parser.add_argument("--cluster-key", default="", metavar="FILE", help="without it only loopback hosts are spoken to")
    parser.add_argument("--bind", default="", metavar="ADDRESS", help="of the dispatch protocol's socket")
    parser.add_argument("--policy", default="", metavar="FILE",
                        help="Python with one @policy, which chooses hosts, read again when it changes; default: keyed choices")
    parser.add_argument("--webhook", default="", metavar="URL", help="gets each event by POST")
    parser.add_argument("--claim-seconds", type=float, default=10, metavar="S",
                        help="others go on with the jobs of a dead one after so long; default: %(default)s")
    parser.add_argument("--tls-certificate", metavar="FILE")
    parser.add_argument("--tls-key", metavar="FILE")
    return parser.parse_args()


def main() -> int:
    """Exit status 2: wrong usage; 1: it could not serve."""
    arguments = _parsed()
    address, _, port = arguments.listen.rpartition(":")
    if not arguments.cmdb or not address or not port.isdigit():
        print("orchestrator: --cmdb URL and --listen ADDRESS:PORT are needed", file=sys.stderr)
        return 2
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        app = application(Settings(arguments.cmdb, arguments.tokens, arguments.name, arguments.cluster_key, arguments.bind,
                                   arguments.webhook, arguments.claim_seconds, arguments.policy))
    except (OSError, ValueError) as error:
        print(f"orchestrator: {error}", file=sys.stderr)
        return 1
    config = uvicorn.Config(app, host=address.strip("[]"), port=int(port), log_config=None, access_log=False,
                            ssl_certfile=arguments.tls_certificate, ssl_keyfile=arguments.tls_key, timeout_keep_alive=30)
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
