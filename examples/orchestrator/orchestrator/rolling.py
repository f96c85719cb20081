"""Rolling update: one container after another gets a new spec, proves to be ready, or all get their old specs back."""
from __future__ import annotations

import asyncio
from typing import Any

import fastcontainer as fc
from fastcontainer import RecordKind

from . import trial
from .records import merged
from .run import Cancelled, Failed, Run
from .store import encoded, now_ms, replica_of

__all__ = ["rolling"]

_PLACE_TRIES = 8
# A copy that moved away has so long to end its requests. Until then its host would take it back, with the spec it has.
OLD_COPY_MS = 30_000
_MOST = 48 * 1024  # bytes of the job's record, with the old specs


async def rolling(run: Run) -> None:
    """Job `rolling`, {"containers": [...], "patch": {...}, "ready_path": "", "ready_s": 60, "trial": true}."""
    if "steps" not in run.progress:
        steps = [{"container": name, "state": "waiting"} for name in run.parameters["containers"]]
        await run.save(progress={"steps": steps, "rolled_back": False})
    if not run.progress["rolled_back"]:
        try:
            for at in range(len(run.progress["steps"])):
                step = _Step(run, at)
                while step.state not in ("ready", "unchanged"):
                    run.check()
                    await step.forward()
        except (Failed, Cancelled) as why:
            await run.save(progress={**run.progress, "rolled_back": True, "why": str(why)})
    if run.progress["rolled_back"]:
        for at in reversed(range(len(run.progress["steps"]))):
            await _Step(run, at).undo()
        raise Failed(str(run.progress["why"]))


class _Step:
    """One container. Its state names what was written last; `forward` does what comes next, and may be repeated."""

    def __init__(self, run: Run, at: int) -> None:
        self._run = run
        self._at = at
        self.container = str(self._fields["container"])
        self._spec_key = fc.record_key(RecordKind.SPEC, self.container)
        self._gate = fc.record_key(RecordKind.KEY, trial.gate_key(run, at, "ready"))

    @property
    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = self._run.progress["steps"][self._at]
        return fields

    @property
    def state(self) -> str:
        """What was written last."""
        return str(self._fields["state"])

    def _next(self, state: str, **fields: Any) -> dict[str, Any]:
        steps = list(self._run.progress["steps"])
        steps[self._at] = {**steps[self._at], "state": state, **fields}
        return {"progress": {**self._run.progress, "steps": steps}}

    @property
    def _new(self) -> dict[str, Any]:
        value: dict[str, Any] = merged(self._fields["old"], self._run.parameters["patch"])
        return value

    async def forward(self) -> None:
        """From one state to the next."""
        await {"waiting": self._begin, "begun": self._try, "trying": self._tried, "tried": self._write,
               "written": self._leave, "moving": self._move, "moved": self._ready}[self.state]()

    async def _begin(self) -> None:
        spec = await self._run.store.get(RecordKind.SPEC, self.container)
        if not spec.revision:
            raise Failed(f"there is no spec of a container {self.container}")
        new = merged(spec.value, self._run.parameters["patch"])
        try:
            fc.record_check(RecordKind.SPEC, self.container, encoded(new))
        except fc.Error as error:
            raise Failed(f"{self.container}: {error}") from error
        fields = self._next("unchanged" if new == spec.value else "begun", old=spec.value)
        if len(encoded(fields)) > _MOST:
            raise Failed(f"{self.container}: the specs are too long for one job, update fewer containers in each")
        await self._run.save(**fields)

    async def _try(self) -> None:
        if not self._run.parameters["trial"] or await self._single():
            await self._run.save(**self._next("tried"))
            return
        spec = {name: value for name, value in self._new.items() if name != "port"}
        await trial.created(self._run, self._at, self.container, spec, **self._next("trying"))

    async def _single(self) -> bool:
        """A second copy would be a second writer."""
        own = self._new
        of_class = await self._run.store.get(RecordKind.CLASS, str(own.get("class", "")) or "none")
        return bool(own.get("writers", of_class.value.get("writers")) == "single")

    async def _tried(self) -> None:
        await self._routed(trial.gate_key(self._run, self._at, "trial"))
        await trial.removed(self._run, self._at, self.container, **self._next("tried"))

    async def _routed(self, key: str) -> None:
        try:
            await self._run.routed(key, float(self._run.parameters["ready_s"]), str(self._run.parameters["ready_path"]))
        except Failed as why:
            raise Failed(f"{self.container} does not become ready: {why}") from why

    async def _write(self) -> None:
        spec = await self._run.store.get(RecordKind.SPEC, self.container)
        if spec.value != self._fields["old"]:
            raise Failed(f"the spec of {self.container} was changed by somebody else")
        try:
            await self._run.save([fc.put(self._spec_key, encoded(self._new))], [(self._spec_key, spec.revision)],
                                 **self._next("written"))
        except fc.Conflict as error:
            raise Failed(f"the spec of {self.container} was changed by somebody else") from error

    async def _leave(self) -> None:
        placement = await self._run.store.get(RecordKind.PLACEMENT, self.container)
        replica = replica_of(placement.value)
        if replica is not None and replica.get("epoch", 0) > 1:
            await asyncio.sleep(max(0, placement.value.get("at_ms", 0) + OLD_COPY_MS - now_ms()) / 1000)
        await self._run.save([fc.put(self._gate, encoded({"v": 1, "container": self.container}))],
                             **self._next("moving", **await self._present()))

    async def _present(self) -> dict[str, Any]:
        placement = await self._run.store.get(RecordKind.PLACEMENT, self.container)
        replica = replica_of(placement.value)
        return {"from": replica.get("host") if replica else None, "epoch": replica.get("epoch", 0) if replica else 0}

    async def _move(self) -> None:
        await self._elsewhere()
        await self._run.save(**self._next("moved"))

    async def _elsewhere(self) -> None:
        """A copy has the spec that it was started with: another host starts one with the new spec."""
        for attempt in range(_PLACE_TRIES):
            present = await self._present()
            if self._fields["from"] is None or present["epoch"] > self._fields["epoch"]:
                return
            try:
                await self._run.engine.place(self.container, "", "rolling")
                return
            except (fc.NoHost, fc.Conflict, fc.Budget, fc.Veto) as error:
                why = str(error)
            await asyncio.sleep(min(2.0, 0.1 * 2 ** attempt))
        raise Failed(f"{self.container} cannot be moved: {why}")

    async def _ready(self) -> None:
        await self._routed(trial.gate_key(self._run, self._at, "ready"))
        await self._run.save([fc.delete(self._gate)], **self._next("ready"))

    async def undo(self) -> None:
        """Brings the old spec back, from whatever state; may be repeated."""
        if self.state == "trying":
            await trial.removed(self._run, self._at, self.container, **self._next("rolled-back"))
        if self.state in ("written", "moving", "moved", "ready"):
            await self._restore()
        if self.state == "restored":
            try:
                await self._elsewhere()
                await self._routed(trial.gate_key(self._run, self._at, "ready"))
                note = None
            except Failed as why:
                note = str(why)
            await self._run.save([fc.delete(self._gate)], **self._next("rolled-back", note=note))

    async def _restore(self) -> None:
        while True:
            spec = await self._run.store.get(RecordKind.SPEC, self.container)
            if spec.value != self._new:
                await self._run.save([fc.delete(self._gate)],
                                     **self._next("left", note="the spec was changed by somebody else meanwhile"))
                return
            try:
                await self._run.save(
                    [fc.put(self._spec_key, encoded(self._fields["old"])),
                     fc.put(self._gate, encoded({"v": 1, "container": self.container}))],
                    [(self._spec_key, spec.revision)], **self._next("restored", **await self._present()))
                return
            except fc.Conflict:
                continue
