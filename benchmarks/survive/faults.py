"""The faults: how a host dies. Each is a list of steps: (seconds after the fault began, what is done)."""
import dataclasses
import os
import signal
from typing import Callable


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    what: str
    steps: tuple[tuple[float, Callable], ...]


def once(name, what, function):
    return Fault(name, what, ((0.0, function),))


def blackhole(stage, host):
    """Two halves are more specific than the route that the kernel has for the interface."""
    for half in ("10.77.0.0/25", "10.77.0.128/25"):
        stage.network.hosts[host].run("ip", "route", "add", "blackhole", half)


def kill(stage, host):
    send(stage.service_pids(host), signal.SIGKILL)


def stop(stage, host):
    send(stage.network.hosts[host].pids(), signal.SIGSTOP)


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def drop(stage, host):
    stage.network.drop(host)


def heal(stage, host):
    stage.network.heal(host)


FAULTS = {fault.name: fault for fault in (
    Fault("none", "nothing happens", ()),
    once("drop", "the host drops every packet", drop),
    once("bridge", "the switch drops every packet from and to the host", lambda s, h: s.network.bridge_drop(h)),
    once("drop-in", "the host drops what comes in", lambda s, h: s.network.drop(h, ("input",))),
    once("drop-out", "the host drops what it sends", lambda s, h: s.network.drop(h, ("output",))),
    once("link-down", "the host's link is down", lambda s, h: s.network.link_down(h)),
    once("reject", "the host refuses every packet", lambda s, h: s.network.reject(h)),
    once("blackhole", "the host's routes lead nowhere", blackhole),
    once("kill", "SIGKILL of the service", kill),
    once("stop", "SIGSTOP of everything on the host", stop),
    Fault("flap", "the host drops every packet and is back after 5 s", ((0.0, drop), (5.0, heal))),
    Fault("second", "the host drops every packet, is back after 3 s, and 2 s later the other one dies",
          ((0.0, drop), (3.0, heal), (5.0, lambda s, h: s.network.drop(s.other(h))))),
)}
