"""Operations under way, and what runs the loop until they have ended: asyncio's loop, or a blocking poll."""
from __future__ import annotations

import asyncio
import collections
import select
import time
from typing import Any, Callable, Generator, Generic, Protocol, TypeVar

T = TypeVar("T")
NEVER = 2**64 - 1


class Core(Protocol):
    """What an engine and a prober of the C ABI have in common."""

    def fileno(self) -> int: ...
    def deadline_ns(self) -> int: ...
    def process(self) -> int: ...
    def cancel(self, op: int, /) -> bool: ...
    @property
    def closed(self) -> bool: ...


class Driver:
    """Runs the callbacks of one engine or prober, within asyncio's loop or a call that blocks."""

    def __init__(self, core: Core, wake: Callable[[], object] | None = None) -> None:
        self.core = core
        self._wake = wake
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._abandoned: collections.deque[int] = collections.deque()

    def attach(self) -> asyncio.AbstractEventLoop:
        """The running loop, which from now on polls the descriptor."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return loop
        if self._loop is not None:
            if not self._loop.is_closed():
                raise RuntimeError("it is used by another event loop, which is still open")
            self._timer = None
        loop.add_reader(self.core.fileno(), self._on_ready)
        self._loop = loop
        return loop

    def detach(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self.core.fileno())
        self._loop = None

    def process(self) -> None:
        while self._abandoned:
            self.core.cancel(self._abandoned.popleft())
        self.core.process()

    def _on_ready(self) -> None:
        if self.core.closed:
            return
        self.process()
        self.arm()

    def arm(self) -> None:
        """A prober's deadline does not make its descriptor readable; an engine's does."""
        if self._wake is not None or self._loop is None or self.core.closed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.core.deadline_ns()
        if deadline != NEVER:
            delay = max(0.0, (deadline - time.monotonic_ns()) / 1e9)
            self._timer = self._loop.call_later(delay, self._on_ready)

    def abandon(self, op: int) -> None:
        """Any thread: cancels `op` when the loop next runs."""
        self._abandoned.append(op)
        if self._wake is not None:
            self._wake()

    def run_until(self, done: Callable[[], bool], timeout: float | None) -> bool:
        """Blocks; False: `timeout` seconds were not enough."""
        end = NEVER if timeout is None else time.monotonic_ns() + int(timeout * 1e9)
        self.process()
        poll = select.poll()
        poll.register(self.core.fileno(), select.POLLIN)
        while not done():
            now = time.monotonic_ns()
            if now >= end:
                return False
            until = min(end, self.core.deadline_ns())
            # Rounded up: a poll that ends a little early would spin.
            poll.poll(None if until == NEVER else max(0, -((now - until) // 1_000_000)))
            self.process()
        return True


class Call(Generic[T]):
    """
    An operation under way: ``await`` it, or wait for its ``result()``.

    Cancelling the task that awaits it cancels the operation. One that nobody waits for goes on.
    """

    __slots__ = ("_driver", "_op", "_done", "_value", "_error", "_future", "__weakref__")

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._op = 0
        self._done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._future: asyncio.Future[None] | None = None

    def _finish(self, error: BaseException | None, value: Any) -> None:
        self._done = True
        self._error = error
        self._value = value
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def _convert(self, value: Any) -> T:
        converted: T = value
        return converted

    def _discard(self, value: Any) -> None:
        """The result came, and nobody will have it."""

    def _take(self) -> T:
        if self._error is not None:
            raise self._error
        return self._convert(self._value)

    def done(self) -> bool:
        """Whether the result is there."""
        return self._done

    def cancel(self) -> bool:
        """
        End the operation without a result.

        Returns
        -------
        bool
            False if it had ended already. What it has done is not undone.
        """
        if self._done:
            return False
        if not self._driver.core.closed:
            self._driver.core.cancel(self._op)
        self._finish(asyncio.CancelledError(), None)
        return True

    def result(self, timeout: float | None = None) -> T:
        """
        Wait for the result; blocks, and runs the engine's loop meanwhile.

        Parameters
        ----------
        timeout : float, optional
            Seconds; then the operation is cancelled.

        Raises
        ------
        TimeoutError
            `timeout` has passed.
        Error
            The operation failed.
        """
        if not self._done and not self._driver.run_until(self.done, timeout):
            self.cancel()
            raise TimeoutError(f"no result within {timeout} s")
        return self._take()

    def __await__(self) -> Generator[Any, None, T]:
        if not self._done:
            if self._future is not None:
                raise RuntimeError("another task awaits this already")
            self._future = self._driver.attach().create_future()
            self._driver.arm()
            try:
                yield from self._future.__await__()
            except BaseException:  # of the task that waits: cancelled, or closed
                if not self.cancel() and self._error is None:
                    self._discard(self._value)
                raise
            finally:
                self._future = None
        return self._take()


class Converted(Call[T]):
    """A call whose result is made of what the C ABI told."""

    __slots__ = ("_make",)

    def __init__(self, driver: Driver, make: Callable[[Any], T]) -> None:
        super().__init__(driver)
        self._make = make

    def _convert(self, value: Any) -> T:
        return self._make(value)
