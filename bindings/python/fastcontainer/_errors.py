"""What the library says when something cannot be done."""
from __future__ import annotations

from . import _core

__all__ = [
    "Budget", "CmdbUnavailable", "Conflict", "Error", "Invalid", "Isolated", "NoHost", "NotFound", "Permission",
    "QueueFull", "Shutdown", "StartFailed", "SystemFault", "TimedOut", "UnknownKey", "UnknownOutcome", "Unsafe",
    "Unsupported", "Veto",
]


class Error(Exception):
    """
    An operation of the library failed.

    Attributes
    ----------
    code : int
        ``FC_E_`` of the C ABI, negative.
    name : str
        Its name, for example ``"FC_E_TIMEOUT"``.
    http_status : int
        What a proxy answers for it.
    retry_after : float or None
        Seconds after which it makes sense to try again; None if that is unknown.
    """

    http_status = 503

    def __init__(self, message: str, code: int = -1, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.name = _core.code_name(code)
        self.retry_after = retry_after


class Invalid(Error, ValueError):
    """An argument, option or record is wrong; the message names it."""

    http_status = 500


class SystemFault(Error):
    """A system call failed; the message names it."""

    http_status = 500


class NotFound(Error, LookupError):
    """There is no such operation, record, host or lease."""

    http_status = 404


class UnknownKey(NotFound):
    """The CMDB knows no container for this key."""


class NoHost(Error):
    """No host fits, or none answers."""


class CmdbUnavailable(Error):
    """The CMDB does not answer, and what is cached does not suffice."""


class StartFailed(Error):
    """The container does not start; `retry_after` says when it is tried again."""


class QueueFull(Error):
    """Too many requests wait already."""


class TimedOut(Error, TimeoutError):
    """It took longer than was allowed."""

    http_status = 504


class Unsafe(Error):
    """The request must not be sent again."""

    http_status = 502


class Isolated(Error):
    """This process has lost its own network; nothing is moved."""


class Budget(Error):
    """This process has used up its budget of relocations, which refills with time."""


class Shutdown(Error):
    """The engine was closed."""


class Conflict(Error):
    """
    A compare-and-set found something else.

    Attributes
    ----------
    records : tuple of Record
        The compared records as they are, in the order of the comparisons.
    """

    http_status = 409
    records: tuple[object, ...] = ()


class UnknownOutcome(Error):
    """The CMDB may or may not have applied it."""


class Unsupported(Error):
    """Known, but not offered by this version or this CMDB."""

    http_status = 501


class Permission(Error, PermissionError):
    """The system does not permit it; the message names what would."""

    http_status = 500


class Veto(Error):
    """A hook said no."""


_CLASSES: dict[int, type[Error]] = {
    -1: Invalid, -3: SystemFault, -4: NotFound, -5: UnknownKey, -6: NoHost, -7: CmdbUnavailable, -8: StartFailed,
    -9: QueueFull, -10: TimedOut, -11: Unsafe, -12: Isolated, -13: Budget, -14: Shutdown, -15: Conflict,
    -16: UnknownOutcome, -17: Unsupported, -18: Permission, -20: Veto,
}


def make(code: int, message: str, retry_after_ns: int) -> Error:
    """The exception for a code of the C ABI; the binding's C++ part calls it."""
    kind = _CLASSES.get(code, Error)
    text = message or " ".join((kind.__doc__ or _core.code_name(code)).split("\n\n")[0].split())
    return kind(text, code, retry_after_ns / 1e9 if retry_after_ns else None)
