"""Where does this container run? One question for every request, answered within it.

>>> async with fastcontainer.Engine("etcd://10.0.0.5:2379") as engine:
...     async with engine.route("site-42.example") as ticket:
...         reader, writer = await asyncio.open_connection(*ticket.address)
"""
from ._calls import Call
from ._core import version as _version
from ._errors import (Budget, CmdbUnavailable, Conflict, Error, Invalid, Isolated, NoHost, NotFound, Permission,
                      QueueFull, Shutdown, StartFailed, SystemFault, TimedOut, UnknownKey, UnknownOutcome, Unsafe,
                      Unsupported, Veto)
from ._route import Route, Ticket, outcome_of
from ._types import (Admission, ContainerState, HostFlag, Lost, Mechanism, Outcome, Placed, ProbeResult, Reason,
                     RecordKind, Stat, Verdict, record_check, record_key, record_name)
from .cmdb import Cmdb, Event, EventKind, Lease, Page, Record, Watch, delete, put
from .dispatcher import Container, Dispatcher, Operation, Runtime, StartRequest
from .engine import Engine
from .hooks import Hook, HookEvent, HookPoint
from .prober import Prober, probe_once
from .store import Answer, Store

__version__ = _version()

__all__ = [
    "Admission", "Answer", "Budget", "Call", "Cmdb", "CmdbUnavailable", "Conflict", "Container", "ContainerState",
    "delete", "Dispatcher", "Engine", "Error", "Event", "EventKind", "Hook", "HookEvent", "HookPoint", "HostFlag",
    "Invalid", "Isolated", "Lease", "Lost", "Mechanism", "NoHost", "NotFound", "Operation", "Outcome",
    "outcome_of", "Page", "Permission", "Placed", "probe_once", "Prober", "ProbeResult", "put", "QueueFull",
    "Reason", "Record", "record_check", "record_key", "record_name", "RecordKind", "Route", "Runtime", "Shutdown",
    "StartFailed", "StartRequest", "Stat", "Store", "SystemFault", "Ticket", "TimedOut", "UnknownKey",
    "UnknownOutcome", "Unsafe", "Unsupported", "Verdict", "Veto", "Watch",
]
