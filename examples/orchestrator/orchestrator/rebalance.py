"""Rebalancing: at most so many containers move from the fullest hosts to the emptiest."""
from __future__ import annotations

import fastcontainer as fc
from fastcontainer import RecordKind

from .run import Run

__all__ = ["planned", "rebalance"]


def planned(counts: dict[str, list[str]], max_moves: int, tolerance: float) -> list[list[str]]:
    """
    Moves [container, from, to] that bring the fullest host to at most `tolerance` times the mean, as far as that goes.

    None goes between hosts that differ by one, so that a second run right after the first has nothing to do.
    """
    hosts = {host: sorted(containers) for host, containers in counts.items()}
    moves: list[list[str]] = []
    if not hosts:
        return moves
    mean = sum(len(one) for one in hosts.values()) / len(hosts)
    while len(moves) < max_moves:
        full = max(hosts, key=lambda host: (len(hosts[host]), host))
        empty = min(hosts, key=lambda host: (len(hosts[host]), host))
        if len(hosts[full]) - len(hosts[empty]) < 2 or len(hosts[full]) <= tolerance * mean:
            break
        container = hosts[full].pop(0)
        hosts[empty].append(container)
        moves.append([container, full, empty])
    return moves


async def rebalance(run: Run) -> None:
    """Job `rebalance`, {"max_moves": N, "tolerance": 1.1}. The plan is written first: a second orchestrator keeps to it."""
    if "plan" not in run.progress:
        counts: dict[str, list[str]] = {}
        async for host in run.store.each(RecordKind.HOST):
            if host.value.get("admin", "up") == "up":
                counts[host.name] = []
        for container, where in (await run.store.placed()).items():
            if where in counts:
                counts[where].append(container)
        plan = planned(counts, int(run.parameters["max_moves"]), float(run.parameters["tolerance"]))
        await run.save(progress={"plan": plan, "next": 0, "moved": 0, "skipped": {}})
    progress = dict(run.progress)
    for at in range(int(progress["next"]), len(progress["plan"])):
        run.check()
        container, source, target = progress["plan"][at]
        where = (await run.store.placed_on(container))
        if where == source:
            try:
                await run.engine.place(container, target, "rebalance")
                progress["moved"] += 1
            except (fc.NoHost, fc.Conflict, fc.Veto, fc.Budget, fc.NotFound) as error:
                progress["skipped"] = {**progress["skipped"], container: str(error)}
        elif where == target:
            progress["moved"] += 1  # whoever had this job before has just done it
        else:
            progress["skipped"] = {**progress["skipped"], container: f"it is on {where or 'no host'} now"}
        progress["next"] = at + 1
        await run.save(progress=progress)
