"""The command crun."""
from __future__ import annotations

import asyncio
import json
import subprocess

from .bundle import Bundle

__all__ = ["Crun", "CrunError"]


class CrunError(Exception):
    """crun has said no; the text is its own."""


class Crun:
    """`folder` is where crun keeps what it knows of its containers: it must outlive this process, and not the machine's boot."""

    def __init__(self, folder: str, cgroups: str) -> None:
        self._common = ["crun", "--root", folder, "--cgroup-manager", cgroups]

    async def _call(self, *words: str) -> str:
        child = await asyncio.create_subprocess_exec(*self._common, *words, stdin=subprocess.DEVNULL,
                                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = await child.communicate()
        if child.returncode != 0:
            raise CrunError(f"crun {words[0]}: {err.decode(errors='replace').strip() or child.returncode}")
        return out.decode()

    async def run(self, name: str, bundle: Bundle) -> None:
        """Makes and starts it; it goes on without this process, its output goes to the bundle's log. Raises `CrunError`."""
        with open(bundle.log, "ab") as log:
            child = await asyncio.create_subprocess_exec(
                *self._common, "run", "--detach", "--bundle", bundle.folder, "--pid-file", bundle.pid_file, name,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            if await child.wait() != 0:
                raise CrunError(f"crun run: {bundle.output() or child.returncode}")

    async def running(self, name: str) -> int:
        """The pid of a container that runs; 0: it does not. crun compares the time at which the process was started."""
        try:
            state = json.loads(await self._call("state", name))
        except (CrunError, ValueError):
            return 0
        return int(state["pid"]) if state.get("status") == "running" else 0

    async def signal(self, name: str, signal: str) -> None:
        """To its first process. Raises `CrunError`, also if that has ended."""
        await self._call("kill", name, signal)

    async def delete(self, name: str) -> None:
        """Kills what is left, and takes its mounts and cgroup away; nothing happens if there is no such container."""
        try:
            await self._call("delete", "--force", name)
        except CrunError as error:
            if "does not exist" not in str(error) and "error opening file" not in str(error):
                raise
