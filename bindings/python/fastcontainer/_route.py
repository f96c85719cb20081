"""Where does this container run?"""
from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Callable, Generator, Union

from . import _core
from ._calls import Call, Driver
from ._core import Ticket
from ._types import Lost, Outcome

__all__ = ["Route", "Ticket", "outcome_of"]

Begin = Callable[[Callable[[Any, Any], None]], Union[Ticket, int]]
OnLost = Callable[[Lost], object]


def outcome_of(error: BaseException | None) -> Outcome:
    """
    What the router may learn from the exception that ended a request.

    Parameters
    ----------
    error : BaseException or None
        None: a response came.

    Returns
    -------
    Outcome
        `REFUSED`, `CLOSED`, `TIMEOUT`, `CONNECT_FAILED` for what says something of the host or container,
        `CANCELLED` for everything else.
    """
    if error is None:
        return Outcome.OK
    if isinstance(error, ConnectionRefusedError):
        return Outcome.REFUSED
    if isinstance(error, (ConnectionError, asyncio.IncompleteReadError)):
        return Outcome.CLOSED
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return Outcome.TIMEOUT
    if isinstance(error, OSError):
        return Outcome.CONNECT_FAILED
    return Outcome.CANCELLED


class _RouteCall(Call[Ticket]):
    __slots__ = ()

    def _discard(self, value: Any) -> None:
        value.end(Outcome.CANCELLED)


class Route:
    """
    A route that is asked for when it is entered or awaited.

    ``async with`` and ``with`` give the `Ticket` and end it; the exception that leaves the block tells the router how the
    request went (`outcome_of`). ``await`` and `result` give a ticket that is yours to end.
    """

    __slots__ = ("_driver", "_begin", "_ticket")

    def __init__(self, driver: Driver, begin: Begin) -> None:
        self._driver = driver
        self._begin = begin
        self._ticket: Ticket | None = None

    def _ask(self) -> Ticket | _RouteCall:
        call = _RouteCall(self._driver)
        answer = self._begin(call._finish)
        if isinstance(answer, int):
            call._op = answer
            return call
        return answer

    def result(self, timeout: float | None = None) -> Ticket:
        """Blocks until the ticket is there. `timeout`: seconds; raises `TimeoutError`, or an `Error`."""
        asked = self._ask()
        return asked if isinstance(asked, Ticket) else asked.result(timeout)

    def __await__(self) -> Generator[Any, None, Ticket]:
        asked = self._ask()
        if isinstance(asked, Ticket):
            return asked
        return (yield from asked.__await__())

    async def __aenter__(self) -> Ticket:
        asked = self._ask()
        self._ticket = asked if isinstance(asked, Ticket) else await asked
        return self._ticket

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self._end(error)

    def __enter__(self) -> Ticket:
        self._ticket = self.result()
        return self._ticket

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.end(outcome_of(error))


def told(on_lost: OnLost | None) -> Callable[[int, int], None] | None:
    if on_lost is None:
        return None
    tell = on_lost
    return lambda _ticket, reason: (tell(Lost(reason)), None)[1]


def retry(driver: Driver, ticket: Ticket, outcome: Outcome, *, bytes_written: bool, idempotent: bool, body_held: bool,
          response_begun: bool, wait_ns: int, stream: bool, on_lost: OnLost | None) -> Route:
    def begin(finish: Callable[[Any, Any], None]) -> Ticket | int:
        return _core.retry(ticket, finish, outcome, bytes_written, idempotent, body_held, response_begun, wait_ns, stream,
                           told(on_lost))
    return Route(driver, begin)
