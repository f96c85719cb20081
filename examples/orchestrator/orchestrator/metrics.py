"""/metrics: the orchestrator's numbers and those of its engine, in the text format of Prometheus."""
from __future__ import annotations

import collections

from fastapi import APIRouter, Depends, Request, Response

from .auth import reader
from .jobs import Jobs
from .monitor import Monitor
from .sets import Sets
from .store import Store

__all__ = ["routes"]

routes = APIRouter(tags=["metrics"], dependencies=[Depends(reader)])
_KINDS = {1: "counter", 2: "gauge"}


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def text_of(store: Store, jobs: Jobs, monitor: Monitor, sets: Sets) -> str:
    """All numbers."""
    lines = ["# HELP orchestrator_jobs Jobs in the CMDB.", "# TYPE orchestrator_jobs gauge"]
    states = collections.Counter((str(job.get("kind")), str(job.get("state"))) for job, _ in jobs.known.values())
    lines += [f'orchestrator_jobs{{kind="{_quoted(kind)}",state="{_quoted(state)}"}} {count}'
              for (kind, state), count in sorted(states.items())]
    lines += ["# HELP orchestrator_jobs_ended_total Jobs that ended in this process.",
              "# TYPE orchestrator_jobs_ended_total counter"]
    lines += [f'orchestrator_jobs_ended_total{{kind="{kind}",state="{state}"}} {count}'
              for (kind, state), count in sorted(jobs.outcomes.items())]
    lines += ["# HELP orchestrator_jobs_running Jobs that run in this process.", "# TYPE orchestrator_jobs_running gauge",
              f"orchestrator_jobs_running {len(jobs.running)}",
              "# HELP orchestrator_host_up Whether the host has a heartbeat.", "# TYPE orchestrator_host_up gauge"]
    lines += [f'orchestrator_host_up{{host="{_quoted(host)}"}} {int(up)}' for host, up in sorted(monitor.up.items())]
    lines += ["# HELP orchestrator_set_replicas Members that the set is to have.", "# TYPE orchestrator_set_replicas gauge"]
    lines += [f'orchestrator_set_replicas{{set="{name}"}} {count}' for name, count in sorted(sets.wanted.items())]
    lines += ["# HELP orchestrator_set_ready Members that answer.", "# TYPE orchestrator_set_ready gauge"]
    lines += [f'orchestrator_set_ready{{set="{name}"}} {sets.ready_count(name)}' for name in sorted(sets.wanted)]
    last = ""
    for one in store.engine.stats():
        if one.name != last:
            lines += [f"# HELP {one.name} {one.help}", f"# TYPE {one.name} {_KINDS.get(one.kind, 'untyped')}"]
            last = one.name
        labels = f"{{{one.labels}}}" if one.labels else ""
        lines.append(f"{one.name}{labels} {one.value:.17g}")
    return "\n".join(lines) + "\n"


@routes.get("/metrics", summary="Numbers for Prometheus")
async def metrics(request: Request) -> Response:
    """Text, version 0.0.4."""
    state = request.app.state
    return Response(text_of(state.store, state.jobs, state.monitor, state.sets), media_type="text/plain; version=0.0.4; charset=utf-8")
