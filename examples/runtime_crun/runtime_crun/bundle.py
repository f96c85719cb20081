"""What a spec of the CMDB is in the words of the OCI: the folder that `crun run` is given, with its config.json."""
from __future__ import annotations

import json
import os
import re
import shutil
from typing import Any, Mapping, NamedTuple

from fastcontainer import StartRequest

__all__ = ["Bundle", "Instance", "configuration"]

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")
# What a server that changes to a user of its own needs; there is no way to get more of them, for noNewPrivileges is set.
_CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID"]
_PERIOD_US = 100_000


class Instance(NamedTuple):
    """What the next process must know of a container to take it over."""

    instance: str
    container: str
    replica: int
    epoch: int
    spec_revision: str
    address: str
    ready: bool


class Bundle:
    """The folder of one instance."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.log = os.path.join(folder, "log")
        self.pid_file = os.path.join(folder, "pid")

    def create(self, config: Mapping[str, Any]) -> None:
        """Raises `OSError`."""
        os.makedirs(self.folder, mode=0o700)
        with open(os.path.join(self.folder, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file, indent=1)

    def remember(self, instance: Instance) -> None:
        """Whole or not at all: this process may end at any moment."""
        path = os.path.join(self.folder, "instance.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(instance._asdict(), file)
        os.replace(path + ".new", path)

    def remembered(self) -> Instance | None:
        """None: its process ended before the container was made."""
        try:
            with open(os.path.join(self.folder, "instance.json"), encoding="utf-8") as file:
                return Instance(**json.load(file))
        except (OSError, ValueError, TypeError):
            return None

    def pid(self) -> int:
        """The first process of the container, as this machine numbers it. Raises `OSError`, `ValueError`."""
        with open(self.pid_file, encoding="ascii") as file:
            return int(file.read())

    def output(self) -> str:
        """The end of what the container and crun have written."""
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, os.path.getsize(self.log) - 500))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def remove(self) -> None:
        """Also if it is there in part only."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _substituted(text: str, values: Mapping[str, str]) -> str:
    """$NAME and ${NAME} of the start's own variables, $$ a dollar; anything else stays, for the container's shell."""
    return _VARIABLE.sub(lambda found: "$" if found[1] else values.get(found[2] or found[3], found[0]), text)


def _root(images: str, environment: Mapping[str, str]) -> str:
    image = environment.get("IMAGE", "")
    path = os.path.join(images, image)
    if not image or os.path.basename(image) != image or image in (".", "..") or not os.path.isdir(path):
        raise ValueError(f"environment.IMAGE is {image!r}; accepted is the name of a folder in {images}")
    return path


def _resources(limits: Mapping[str, Any]) -> dict[str, Any]:
    resources: dict[str, Any] = {}
    if limits.get("cpu"):
        resources["cpu"] = {"quota": int(limits["cpu"] * _PERIOD_US), "period": _PERIOD_US}
    if limits.get("memory"):
        resources["memory"] = {"limit": int(limits["memory"])}
    return resources


def configuration(request: StartRequest, images: str) -> dict[str, Any]:
    """
    The config.json of a start.

    The host's network is the container's, for it listens on an address of the host; it has its own processes, mounts, IPC
    and host name. Raises `ValueError` with what is wrong in the spec.
    """
    spec = request.spec
    own = {"ADDRESS": request.address[0], "PORT": str(request.address[1])}
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **spec.get("environment", {}), **own, "EPOCH": str(request.epoch),
                   "CONTAINER": request.container, "FASTCONTAINER_INSTANCE": request.instance}
    hostname = re.sub(r"[^A-Za-z0-9-]", "-", request.container)[:63]
    temporary = ["nosuid", "nodev", "mode=1777", "size=64m"]
    return {
        "ociVersion": "1.0.2", "hostname": hostname,
        "root": {"path": _root(images, environment), "readonly": True},
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "cwd": spec.get("directory", "/"), "noNewPrivileges": True,
            "args": [_substituted(word, own) for word in spec["command"]],
            "env": [f"{name}={value}" for name, value in environment.items()],
            "capabilities": {kind: _CAPABILITIES for kind in ("bounding", "effective", "permitted")}},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": temporary},
            {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": temporary}],
        "linux": {
            "cgroupsPath": f"/fastcontainer/{request.instance}", "resources": _resources(spec.get("limits", {})),
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]}}
