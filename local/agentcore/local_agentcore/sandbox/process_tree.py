"""The processes of one sandbox as the host controls them: they are started and ended together."""

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
    """The launcher, which becomes bubblewrap, and all its descendants. The caller of `spawn` must call `end`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._init: int | None = None

    @classmethod
    def spawn(
        cls, blueprint: Blueprint, channel: socket.socket, groups: SandboxCgroups, uid: int | None
    ) -> ProcessTree:
        """Starts the launcher with the sandbox's end of the channel.

        Raises:
            OSError: No process can be started.
        """
        return cls(_spawn(blueprint, channel, groups, uid))

    @property
    def root_pid(self) -> int:
        """The id on the host of the process from which all others descend."""
        return self._process.pid

    def pin_init(self) -> None:
        """Opens a descriptor of the sandbox's process 1, so that `kill` cannot signal another process with the same id.

        Raises:
            SandboxEndedError: Process 1 does not exist.
        """
        children = Path(f"/proc/{self.root_pid}/task/{self.root_pid}/children").read_text().split()
        if len(children) != 1:
            raise SandboxEndedError("bubblewrap has no single child")
        self._init = os.pidfd_open(int(children[0]))

    def kill(self) -> None:
        """Kills process 1, which ends all processes of the sandbox."""
        if self._init is None:  # not started completely: kill the launcher or bubblewrap, and its descendants
            _kill_with_descendants(self.root_pid)
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, signal.SIGKILL)

    async def read_startup_error(self) -> str:
        """Kills a sandbox that did not start. Returns its error output."""
        stderr = self._process.stderr
        if stderr is None:
            return ""
        self.kill()
        text = await asyncio.to_thread(stderr.read, DIAGNOSIS_BYTES)
        return text.decode("utf-8", "replace").strip()

    def close_stderr(self) -> None:
        """Closes the pipe from stderr after the start."""
        if self._process.stderr is not None:
            self._process.stderr.close()

    async def end(self) -> None:
        """Kills all processes and waits for their end. Call it once."""
        self.kill()
        while self._process.poll() is None:  # bubblewrap exits after process 1
            await asyncio.sleep(0.002)
        if self._init is not None:
            os.close(self._init)
            self._init = None
        self.close_stderr()


def _kill_with_descendants(process: int) -> None:
    for pid in list(descendants(process)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _spawn(
    blueprint: Blueprint, channel: socket.socket, groups: SandboxCgroups, uid: int | None
) -> subprocess.Popen[bytes]:
    filter_descriptor = os.memfd_create("filter")
    try:
        os.write(filter_descriptor, blueprint.filter_program)
        os.lseek(filter_descriptor, 0, os.SEEK_SET)
        plan = blueprint.plan(
            uid=uid,
            procs_files=groups.procs_files,
            channel=channel.fileno(),
            filter_descriptor=filter_descriptor,
        )
        process = subprocess.Popen(  # noqa: S603  the launcher
            [sys.executable, "-I", "-S", str(LAUNCHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={},  # otherwise /proc/1/environ would show the host's
            cwd="/",
            pass_fds=(channel.fileno(), filter_descriptor),
            start_new_session=True,
        )
    finally:
        os.close(filter_descriptor)
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # the launcher has exited; its stderr has the reason
            process.stdin.write(json.dumps(plan).encode())
            process.stdin.close()
    return process
