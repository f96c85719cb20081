"""Numbers of the C ABI by name, and the small things that are given back."""
from __future__ import annotations

import enum
from typing import Any, NamedTuple

from . import _core

__all__ = ["Admission", "ContainerState", "HostFlag", "Lost", "Mechanism", "Outcome", "Placed", "ProbeResult",
           "Reason", "RecordKind", "Stat", "Verdict"]


class Reason(enum.IntEnum):
    """What made a route."""

    LEASE = 1
    ACQUIRED = 2
    STARTED = 3
    RELOCATED = 4
    PLACED = 5


class Outcome(enum.IntEnum):
    """How a request went, as far as the router can learn from it."""

    OK = 0
    CANCELLED = 1
    REFUSED = 2
    CONNECT_FAILED = 3
    CLOSED = 4
    TIMEOUT = 5
    STALE_CONNECTION = 6


class Lost(enum.IntEnum):
    """Why the owner of an open ticket is told."""

    HOST_DOWN = 1
    SERVICE = 2
    CONTAINER = 3


class Admission(enum.IntEnum):
    """What must be known of a silent host before its containers move."""

    DEFAULT = 0
    SOLO = 1
    CONFIRM = 2
    HEARTBEAT = 3


class Verdict(enum.IntEnum):
    """What a probe found."""

    UP = 0
    UP_PORT_CLOSED = 1
    DOWN_UNREACHABLE = 2
    DOWN_TIMEOUT = 3
    LOCAL_FAULT = 4


class Mechanism(enum.IntEnum):
    """How a host is probed."""

    NONE = 0
    ICMP_DATAGRAM = 1
    ICMP_RAW = 2
    TCP_CONNECT = 3
    TCP_SYN = 4
    ECHO = 5
    UDP = 6


class RecordKind(enum.IntEnum):
    """The library's records in a CMDB."""

    KEY = 0
    CLASS = 1
    SPEC = 2
    PLACEMENT = 3
    HOST = 4
    SCORES = 5


class HostFlag(enum.IntFlag):
    """Bits of `HostTable.flags`."""

    ADMIN_UP = 1
    REACHABLE = 2
    FRESH = 4
    OVERLOADED = 8
    SERVICE_DOWN = 16


class ContainerState(enum.IntEnum):
    """Of a dispatcher's container."""

    STARTING = 1
    RUNNING = 2
    STOPPING = 3
    FAILED = 4


class Placed(NamedTuple):
    """A placement that was written."""

    container: str
    replica: int
    host: str
    from_host: str
    epoch: int


class Stat(NamedTuple):
    """A number of the engine; `kind` is 1 for a counter and 2 for a gauge."""

    name: str
    labels: str
    kind: int
    value: float
    help: str


class ProbeResult(NamedTuple):
    """A verdict on a host. Times are nanoseconds."""

    verdict: Verdict
    mechanism: Mechanism
    packets: int
    error: int
    icmp_type: int
    icmp_code: int
    shared: bool
    rtt_ns: int
    user_rtt_ns: int
    stall_ns: int
    deadline_ns: int

    @property
    def up(self) -> bool:
        """Whether the host answered."""
        return self.verdict in (Verdict.UP, Verdict.UP_PORT_CLOSED)


def probe_result(fields: Any) -> ProbeResult:
    verdict, mechanism, *rest = fields
    return ProbeResult(Verdict(verdict), Mechanism(mechanism), *rest)


def record_key(kind: RecordKind, name: str = "") -> str:
    """The CMDB key of a record; of an empty name the prefix of all of that kind. Raises `Invalid`."""
    return _core.record_key(kind, name)


def record_name(key: str) -> tuple[RecordKind, str]:
    """Kind and name of a CMDB key. Raises `Invalid` if it is none of the library's."""
    kind, name = _core.record_name(key)
    return RecordKind(kind), name


def record_check(kind: RecordKind, name: str, json: str) -> None:
    """Raises `Invalid` or `Unsupported` with a message that names the field, unless the record may be written."""
    _core.record_check(kind, name, json)


def nanoseconds(seconds: float) -> int:
    return max(1, round(seconds * 1e9)) if seconds > 0 else 0
