"""The processes of one sandbox as the host controls them: they are started and ended together."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import SandboxEndedError
from .memory import children

if TYPE_CHECKING:
    import socket

    from .blueprint import Blueprint
    from .cgroups import SandboxCgroups

DIAGNOSIS_BYTES = 16 * 1024


class ProcessTree:
    """The launcher, which becomes bubblewrap, and all its descendants. The caller of `spawn` must call `end`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._init: int | None = None
        self.init_pid: int | None = None
        self._unfinished: list[int] = []

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

        Further calls have no effect. `init_pid` is the id of process 1 on the host afterwards.

        Raises:
            SandboxEndedError: Process 1 does not exist.
        """
        if self._init is not None:
            return
        found = children(self.root_pid)
        if len(found) != 1:
            raise SandboxEndedError("bubblewrap has no single child")
        (self.init_pid,) = found
        self._init = os.pidfd_open(self.init_pid)

    def kill(self) -> None:
        """Kills process 1, which ends all processes of the sandbox."""
        if self._init is None:
            self._kill_unfinished()
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, signal.SIGKILL)

    def _kill_unfinished(self) -> None:
        """Kills the launcher or bubblewrap, and the child that will be process 1.

        If only bubblewrap were killed, the child would wait for it forever (bubblewrap's `child_wait_fd`). A process
        with a pending signal cannot fork, so no child appears after SIGSTOP. The child of a bubblewrap that has ended
        is in its process group.
        """
        if self._process.returncode is not None:  # reaped: another process may have its id
            return
        with suppress(ProcessLookupError):
            os.killpg(self.root_pid, signal.SIGSTOP)
        for child in children(self.root_pid):
            with suppress(ProcessLookupError):
                self._unfinished.append(os.pidfd_open(child))
                signal.pidfd_send_signal(self._unfinished[-1], signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(self.root_pid, signal.SIGKILL)

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
        descriptors = [*self._unfinished, *([] if self._init is None else [self._init])]
        # Process 1 ends after all other processes in its namespace, and bubblewrap after process 1.
        while self._process.poll() is None or not all(map(_has_ended, descriptors)):
            await asyncio.sleep(0.002)
        self._init, self._unfinished = None, []
        for descriptor in descriptors:
            os.close(descriptor)
        self.close_stderr()


def _has_ended(process: int) -> bool:
    """Returns whether the process of a descriptor has ended."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(0))


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
            [sys.executable, "-I", "-S", str(blueprint.launcher)],
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
