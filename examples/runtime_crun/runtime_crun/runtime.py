"""The runtime: what the dispatcher asks for, done with crun, one task for each thing that is asked."""
from __future__ import annotations

import asyncio
import logging
import os
from typing import Coroutine

from fastcontainer import Operation, StartRequest

from .bundle import Bundle, Instance, configuration
from .crun import Crun, CrunError
from .ready import answers, check_free

__all__ = ["CrunRuntime"]

_READY_S, _logger = 90.0, logging.getLogger("runtime_crun")


class _Container:
    """One that was started or taken over. Its process is held by a descriptor, so that another one's end is never taken for its."""

    def __init__(self, bundle: Bundle, instance: Instance) -> None:
        self.bundle = bundle
        self.instance = instance
        self.made = asyncio.Event()  # crun has made it, or will not
        self.ended = asyncio.Event()
        self.stopped = False  # by the dispatcher: its end is no news
        self._process = -1

    def hold(self, pid: int) -> None:
        """Raises `ProcessLookupError` if it has ended."""
        self._process = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._process, self._on_end)

    def _on_end(self) -> None:
        self.let_go()
        self.ended.set()

    def let_go(self) -> None:
        """No more is heard of it."""
        if self._process >= 0:
            asyncio.get_running_loop().remove_reader(self._process)
            os.close(self._process)
            self._process = -1


class CrunRuntime:
    """
    Implements `fastcontainer.Runtime`.

    Parameters
    ----------
    crun : Crun
        The command.
    bundles : str
        A folder for containers, which outlives this process: the next one takes over what it finds.
    images : str
        Folders with root filesystems; a spec names one in `environment.IMAGE`.
    """

    def __init__(self, crun: Crun, bundles: str, images: str) -> None:
        self._crun = crun
        self._bundles = bundles
        self._images = images
        self._containers: dict[str, _Container] = {}
        self._exits: Operation | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def _begin(self, operation: Operation | None, work: Coroutine[object, object, None]) -> None:
        """What fails without an answer is answered with its text."""
        async def whole() -> None:
            try:
                await work
            except (OSError, ValueError, CrunError, TimeoutError) as error:
                _logger.warning("%s", error)
                if operation is not None:
                    operation.failed(str(error) or type(error).__name__)
        task = self._loop.create_task(whole())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- what the dispatcher calls ----

    def start(self, operation: Operation, request: StartRequest) -> None:
        """See `fastcontainer.Runtime`."""
        self._begin(operation, self._start(operation, request))

    def stop(self, operation: Operation, instance: str, grace: float) -> None:
        """See `fastcontainer.Runtime`."""
        container = self._containers.get(instance)
        if container is None:
            operation.failed(f"there is no instance {instance}")
            return
        container.stopped = True
        self._begin(operation, self._stop(operation, container, grace))

    def recover(self, operation: Operation) -> None:
        """See `fastcontainer.Runtime`."""
        self._begin(operation, self._recover(operation))

    def watch_exits(self, operation: Operation) -> None:
        """See `fastcontainer.Runtime`."""
        self._exits = operation

    # ---- how it is done ----

    async def _start(self, operation: Operation, request: StartRequest) -> None:
        host, port = request.address
        instance = Instance(request.instance, request.container, request.replica, request.epoch, request.spec_revision,
                            f"[{host}]:{port}" if ":" in host else f"{host}:{port}", False)
        config = configuration(request, self._images)
        check_free(request.address)
        container = _Container(Bundle(os.path.join(self._bundles, request.instance)), instance)
        self._containers[request.instance] = container
        try:
            try:
                container.bundle.create(config)
                container.bundle.remember(instance)
                await self._crun.run(request.instance, container.bundle)
                container.hold(container.bundle.pid())
            except ProcessLookupError:
                container.ended.set()
            finally:
                container.made.set()
            ready = request.spec.get("ready", {})
            await self._ready(container, request.address, ready)
            container.instance = instance._replace(ready=True)
            container.bundle.remember(container.instance)
        except BaseException:
            await self._remove(container)
            raise
        self._begin(None, self._watch(container))
        operation.done()

    @staticmethod
    async def _ready(container: _Container, address: tuple[str, int], ready: dict[str, object]) -> None:
        """Raises `TimeoutError`, and `CrunError` if it has ended."""
        seconds = float(str(ready.get("timeout_s", _READY_S)))
        tasks = [asyncio.create_task(answers(address, ready)), asyncio.create_task(container.ended.wait())]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if container.ended.is_set():
                why = "it was stopped" if container.stopped else f"it ended before it was ready: {container.bundle.output()}"
                raise CrunError(why)
            if not tasks[0].done():
                raise TimeoutError(f"it did not answer within {seconds:g} s: {container.bundle.output()}")
        finally:
            for task in tasks:
                task.cancel()

    async def _watch(self, container: _Container) -> None:
        await container.ended.wait()
        if container.stopped:
            return
        if self._exits is not None:
            self._exits.ended(container.instance.instance, f"its first process has ended: {container.bundle.output()}")
        await self._remove(container)

    async def _stop(self, operation: Operation, container: _Container, grace: float) -> None:
        await container.made.wait()
        try:
            if grace > 0 and not container.ended.is_set():
                await self._crun.signal(container.instance.instance, "TERM")
                async with asyncio.timeout(grace):
                    await container.ended.wait()
        except (CrunError, TimeoutError):
            pass  # it has ended by itself, or does not want to
        await self._remove(container)
        container.ended.set()  # a start that waits for its readiness waits no more
        operation.done()

    async def _remove(self, container: _Container) -> None:
        await self._crun.delete(container.instance.instance)
        container.let_go()
        container.bundle.remove()
        self._containers.pop(container.instance.instance, None)

    async def _recover(self, operation: Operation) -> None:
        found = []
        for name in os.listdir(self._bundles):
            bundle = Bundle(os.path.join(self._bundles, name))
            instance = bundle.remembered()
            container = _Container(bundle, instance or Instance(name, "", 0, 0, "", "", False))
            try:
                container.hold(bundle.pid())
                running = await self._crun.running(name)
                adopted = container.instance.ready and running == bundle.pid()
            except (OSError, ValueError):
                adopted = False
            if not adopted:
                await self._remove(container)  # nobody waits for a start that was under way
                continue
            container.made.set()
            self._containers[name] = container
            self._begin(None, self._watch(container))
            found.append(container.instance._asdict())
        operation.found(found)
