"""The host's hold on the processes of one sandbox: they are spawned as one and end as one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SandboxEndedError
from .memory import descendants

if TYPE_CHECKING:
    import socket

    from .blueprint import Blueprint
    from .cgroups import SandboxCgroups

LAUNCHER = Path(__file__).parent / "launcher.py"
DIAGNOSIS_BYTES = 16 * 1024


class ProcessTree:
    """The stub, which becomes bubblewrap, and all that descends from it. Whoever spawns it has to `end` it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._init: int | None = None

    @classmethod
    def spawn(
        cls, blueprint: Blueprint, channel: socket.socket, groups: SandboxCgroups, uid: int | None
    ) -> ProcessTree:
        """Starts the stub, which gets the sandbox's end of the channel.

        Raises:
            OSError: no process can be made.
        """
        return cls(_spawn(blueprint, channel, groups, uid))

    @property
    def root_pid(self) -> int:
        """The id, on the host, of the process that all others descend from."""
        return self._process.pid

    def pin_init(self) -> None:
        """Opens the sandbox's process 1, so that killing it later cannot hit another process.

        Raises:
            SandboxEndedError: it is not there.
        """
        children = Path(f"/proc/{self.root_pid}/task/{self.root_pid}/children").read_text().split()
        if len(children) != 1:
            raise SandboxEndedError("bubblewrap has no single child")
        self._init = os.pidfd_open(int(children[0]))

    def kill(self) -> None:
        """Ends process 1, and with it everything in the sandbox."""
        if self._init is None:  # it had not come that far: the stub, or bubblewrap and what it has started
            _kill_with_descendants(self.root_pid)
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, signal.SIGKILL)

    async def read_startup_error(self) -> str:
        """Kills what did not start. Returns what it has left on stderr."""
        stderr = self._process.stderr
        if stderr is None:
            return ""
        self.kill()
        text = await asyncio.to_thread(stderr.read, DIAGNOSIS_BYTES)
        return text.decode("utf-8", "replace").strip()

    def close_stderr(self) -> None:
        """Hears no more of what it says: it has started."""
        if self._process.stderr is not None:
            self._process.stderr.close()

    async def end(self) -> None:
        """Kills all and waits until it has gone. Once."""
        self.kill()
        while self._process.poll() is None:  # bubblewrap ends by itself once process 1 has
            await asyncio.sleep(0.002)
        if self._init is not None:
            os.close(self._init)
            self._init = None
        self.close_stderr()


def _kill_with_descendants(process: int) -> None:
    for one in list(descendants(process)):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def _spawn(
    blueprint: Blueprint, channel: socket.socket, groups: SandboxCgroups, uid: int | None
) -> subprocess.Popen[bytes]:
    filter_descriptor = os.memfd_create("filter")
    try:
        os.write(filter_descriptor, blueprint.filter_program)
        os.lseek(filter_descriptor, 0, os.SEEK_SET)
        plan = blueprint.plan(
            uid=uid,
            processes_files=groups.processes_files,
            channel=channel.fileno(),
            filter_descriptor=filter_descriptor,
        )
        process = subprocess.Popen(  # noqa: S603  the stub, with a plan of our own
            [sys.executable, "-I", "-S", str(LAUNCHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={},  # or the code would read the host's in /proc/1/environ
            cwd="/",
            pass_fds=(channel.fileno(), filter_descriptor),
            start_new_session=True,
        )
    finally:
        os.close(filter_descriptor)
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # the stub has ended; its stderr says why
            process.stdin.write(json.dumps(plan).encode())
            process.stdin.close()
    return process
