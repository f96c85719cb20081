"""One cell of the matrix: a proxy under a load when a fault strikes."""
import dataclasses
import json
import os
import re
import time

import ledger
from loads import LOADS, SECONDS
from stage import Stage

WARM = 2.0  # s of load before the fault


@dataclasses.dataclass
class Cell:
    proxy: str
    fault: str
    load: str
    requests: int
    failed: int
    outcomes: dict
    broken: int
    twice: int            # POSTs that were served more than once
    pause_ms: float
    endless: bool
    recovery_ms: float
    usual_ms: float
    containers: int
    memory_mb: float
    verdict_ms: float     # ours: the longest deadline after which a host was judged; 0: none was needed
    start_ms: float       # ours: the slowest start of the container after the fault
    first_ms: float       # ours, of PHP: the slowest of a fresh copy's first answers, as its server says
    late_ms: float        # the load's own: its latest request
    seconds: list

    def same_place(self, other):
        return (self.proxy, self.fault, self.load) == (other.proxy, other.fault, other.load)

    @property
    def in_flight(self):
        """POSTs that were lost with the host and answered by 502: they may have been executed, and must not be sent again."""
        return self.outcomes.get("502", 0) if LOADS[self.load].posts else 0


def run(name, proxy, fault, load, folder):
    """Has the ledger and the logs in `folder`."""
    path = os.path.join(folder, f"{name}.{fault.name}.{load.name}.csv")
    length = SECONDS + max([0.0, *(after for after, _ in fault.steps)])
    with Stage(load) as stage:
        proxy.start(stage)
        stage.wait_until_served()
        process = stage.start_load(length, path)
        begin = int(process.stdout.readline().split()[1]) / 1e9
        sleep_until(begin + WARM * 0.75)
        memory = stage.memory_mb()
        victim = proxy.victim_of(stage)
        seen, logs = container_starts(stage), stage.answer_logs()
        for after, act in fault.steps:
            sleep_until(begin + WARM + after)
            act(stage, victim)
        summary = json.loads(process.communicate(timeout=120)[0].splitlines()[-1])
        started = [ms for host, all_of_it in container_starts(stage).items() for ms in all_of_it[len(seen[host]):]]
        verdicts = [float(ms) for ms in re.findall(r"judged in ([\d.]+) ms", stage.read("proxy.err"))]
        posts = stage.posts()
        first = stage.first_answers_ms(stage.answer_logs() - logs)
    rows = ledger.read(path)
    ledger.pack(path)
    os.remove(path)
    judged = ledger.judge(rows, summary["outcomes"], load, int(WARM * 1e6), int(length * 1e6))
    return Cell(proxy=name, fault=fault.name, load=load.name, outcomes=summary["outcomes"],
                twice=sum(count > 1 for count in posts.values()), containers=proxy.containers, memory_mb=memory,
                verdict_ms=max(verdicts, default=0.0), start_ms=max(started, default=0.0), first_ms=first, late_ms=summary["latest_send_ms"],
                **{field.name: getattr(judged, field.name) for field in dataclasses.fields(judged)})


def container_starts(stage):
    """{host: [ms of each]}, as the dispatchers have logged them."""
    return {host: [float(ms) for ms in re.findall(r"site ready: .*, ([\d.]+) ms", stage.read(f"{host}.err"))]
            for host in stage.network.hosts}


def sleep_until(when):
    time.sleep(max(0.0, when - time.monotonic()))
