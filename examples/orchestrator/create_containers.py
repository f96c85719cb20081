#!/usr/bin/python3
"""Creates containers, each with a key: create_containers.py --url http://127.0.0.1:8090 --token-file FILE --class site --count 1000"""
from __future__ import annotations

import argparse
import asyncio
import sys

import httpx


async def create(client: httpx.AsyncClient, path: str, value: dict[str, object]) -> bool:
    """Whether it was created; False: it was there already."""
    for attempt in range(6):
        answer = await client.put(path, json=value, headers={"If-None-Match": "*"})
        if answer.status_code in (201, 412):
            return answer.status_code == 201
        if answer.status_code != 503:
            break
        await asyncio.sleep(0.2 * 2 ** attempt)
    raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")


async def create_all(arguments: argparse.Namespace) -> int:
    """How many were new."""
    with open(arguments.token_file, encoding="utf-8") as file:
        headers = {"Authorization": f"Bearer {file.read().strip()}"}
    numbers = iter(range(arguments.first, arguments.first + arguments.count))
    made = 0
    async with httpx.AsyncClient(base_url=arguments.url, headers=headers, timeout=60) as client:
        async def work() -> None:
            nonlocal made
            for number in numbers:
                name = f"{arguments.prefix}{number}"
                new = await create(client, f"/v1/specs/{name}", {"class": arguments.container_class})
                await create(client, f"/v1/keys/{name}.{arguments.domain}", {"container": name})
                made += new
        await asyncio.gather(*(work() for _ in range(arguments.at_once)))
    return made


def main() -> int:
    """Run again after an error: what is there already stays as it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token-file", required=True, metavar="FILE")
    parser.add_argument("--class", required=True, dest="container_class", metavar="CLASS")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, metavar="N")
    parser.add_argument("--prefix", default="site-")
    parser.add_argument("--domain", default="test")
    parser.add_argument("--at-once", type=int, default=8)
    arguments = parser.parse_args()
    made = asyncio.run(create_all(arguments))
    print(f"{made} created, {arguments.count - made} were there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
