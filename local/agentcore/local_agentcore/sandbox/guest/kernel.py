"""The Python kernel of a session, as the supervisor starts and controls it.

A fork takes a few ms, so another fork replaces a kernel that died or whose context is cleared.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .cells import INT32, READY, KernelDescriptors
from .displays import MAX_ENCODED_BYTES
from .output import Budget, Collector
from .processes import ChildProcesses, signal_group

if TYPE_CHECKING:
    from .forks import Fork, ForkingLoop

PIPE_BYTES = 1024 * 1024  # a program that prints less never blocks on the pipe
CANNOT_EXECUTE = 126  # exit code of a shell


@dataclass(frozen=True)
class Outcome:
    """The result of one cell or command.

    Attributes:
        exit_code: 0 means success.
        stdout: The bytes printed to stdout, or to the terminal.
        stderr: The bytes printed to stderr.
        timed_out: Whether the time limit ended the code.
        truncated: Whether output was discarded.
        kernel_exit_code: Exit code of a kernel that died, negative for a signal.
        displays: Images and tables of a cell, as JSON sent by the kernel.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False
    truncated: bool = False
    kernel_exit_code: int | None = None
    displays: bytes = b""


def start_failure(name: str, error: OSError) -> Outcome:
    """Returns the outcome of a call whose process could not be started. The session stays usable."""
    return Outcome(CANNOT_EXECUTE, b"", f"{name} cannot be started: {error.strerror or error}\n".encode())


class Kernel:
    """A forked kernel as the supervisor controls it."""

    def __init__(self, fork: Fork, control: socket.socket, stdout: int, stderr: int) -> None:
        self._process, self._end = fork.process, fork.end
        self._control, self._stdout, self._stderr = control, stdout, stderr
        self._control.setblocking(False)
        self._has_run = False

    @property
    def died_unused(self) -> bool:
        """Whether the kernel died before it ran code, so that nothing is lost: the first victim of a full machine."""
        return self._end.done() and not self._has_run

    @classmethod
    async def start(cls, loop: ForkingLoop[KernelDescriptors], processes: ChildProcesses) -> Kernel:
        """Forks a kernel.

        Raises:
            OSError: No process can be started.
        """
        control, kernel_control = socket.socketpair()
        stdout, kernel_stdout = nonblocking_pipe()
        stderr, kernel_stderr = nonblocking_pipe()
        try:
            fork = await loop.fork(KernelDescriptors(kernel_control.fileno(), kernel_stdout, kernel_stderr), processes)
        except BaseException:
            control.close()
            os.close(stdout)
            os.close(stderr)
            raise
        finally:
            kernel_control.close()
            os.close(kernel_stdout)
            os.close(kernel_stderr)
        return cls(fork, control, stdout, stderr)

    async def wait_ready(self) -> bool:
        """Waits until the kernel accepts code. Returns False if it died first."""
        return await self._read_int() == READY

    async def run(self, code: bytes, seconds: float, grace_seconds: float, budget: Budget) -> Outcome:
        """Runs one cell. At the time limit, interrupts it and keeps the variables. Kills it after `grace_seconds`."""
        self._has_run = True
        streams = Collector(self._stdout, budget), Collector(self._stderr, budget)
        response = asyncio.ensure_future(self._exchange(code))
        timed_out = False
        for limit, number in ((seconds, signal.SIGINT), (grace_seconds, signal.SIGKILL), (None, None)):
            # Waits for both, because a child of the code may keep the socket open after the kernel has died.
            done, _ = await asyncio.wait({response, self._end}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if done:
                break
            timed_out = True
            if number is not None:
                signal_group(self._process, number)
        status, displays = response.result() if response.done() and not response.cancelled() else (None, b"")
        kernel_exit_code: int | None = None
        if status is None:
            response.cancel()
            await asyncio.wait({response})  # stops reading a descriptor whose number the next kernel may get
            self.kill()
            kernel_exit_code = await self._end
        stdout, stderr = (stream.finish() for stream in streams)
        exit_code = 1 if status is None else int(status != 0)
        return Outcome(exit_code, stdout, stderr, timed_out, budget.exceeded, kernel_exit_code, displays)

    def kill(self) -> None:
        """Kills the process group of the kernel."""
        signal_group(self._process, signal.SIGKILL)

    def close(self) -> None:
        """Kills the kernel and closes its descriptors."""
        self.kill()
        self._control.close()
        os.close(self._stdout)
        os.close(self._stderr)

    async def _exchange(self, code: bytes) -> tuple[int | None, bytes]:
        """Sends a cell. Returns its status and displays. The status is None if the kernel died or sent invalid data."""
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._control, INT32.pack(len(code)) + code)
        except OSError:
            return None, b""
        status, size = await self._read_int(), await self._read_int()
        if size is None or not 0 <= size <= MAX_ENCODED_BYTES:
            return None, b""
        displays = await self._read_exactly(size)
        return (None, b"") if displays is None else (status, displays)

    async def _read_int(self) -> int | None:
        """Reads an integer from the kernel. Returns None if the kernel died."""
        data = await self._read_exactly(INT32.size)
        return None if data is None else int(INT32.unpack(data)[0])

    async def _read_exactly(self, size: int) -> bytes | None:
        """Reads `size` bytes from the kernel. Returns None if the kernel died."""
        loop, data = asyncio.get_running_loop(), bytearray()
        while len(data) < size:
            try:
                part = await loop.sock_recv(self._control, size - len(data))
            except OSError:
                return None
            if not part:
                return None
            data += part
        return bytes(data)


def nonblocking_pipe() -> tuple[int, int]:
    """Returns the read end and the write end of a pipe. The read end is non-blocking."""
    reading, writing = os.pipe()
    with suppress(PermissionError):  # the pipe memory of an ordinary user is limited; a smaller pipe is only slower
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(reading, False)
    return reading, writing
