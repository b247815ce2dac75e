"""The Python kernel of a session: an IPython shell, forked from the supervisor so that IPython is imported once.

A fork takes a few ms, so another fork replaces a kernel that died or whose context is cleared.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import gc
import importlib
import io
import os
import signal
import socket
import struct
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .displays import MAX_ENCODED_BYTES, Displays, capture_displays, select_inline_backend
from .output import Budget, Collector
from .processes import NICENESS, ChildProcesses, signal_group

if TYPE_CHECKING:
    from types import FrameType
    from typing import TextIO

INT32 = struct.Struct("!i")
READY = 0
CONTROL_DESCRIPTOR = 3
PIPE_BYTES = 1024 * 1024  # a program that prints less never blocks on the pipe
CANNOT_EXECUTE = 126  # exit code of a shell
KERNEL_SETUP_FAILED = 70  # EX_SOFTWARE in sysexits.h
SET_DUMPABLE = 4  # prctl(2)
DISPLAYS = Displays()


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


def make_shell() -> None:
    """Creates the shell that all kernels copy by a fork, and keeps the garbage collector from writing to its pages.

    Runs a cell, so that the memory of the first cell is shared as well: 5 of a session's 25 MiB. Removes directories
    that code can write from the import path of process 1.
    """
    _shell().run_cell("pass", silent=True)
    _import_path()
    sys.path[:] = [directory for directory in sys.path if not Path(directory).is_relative_to(sys.prefix)]
    gc.collect()
    gc.freeze()


def start_failure(name: str, error: OSError) -> Outcome:
    """Returns the outcome of a call whose process could not be started. The session stays usable."""
    return Outcome(CANNOT_EXECUTE, b"", f"{name} cannot be started: {error.strerror}\n".encode())


class Kernel:
    """A forked kernel as the supervisor controls it."""

    def __init__(self, processes: ChildProcesses) -> None:
        self._control, kernel_control = socket.socketpair()
        self._stdout, kernel_stdout = nonblocking_pipe()
        self._stderr, kernel_stderr = nonblocking_pipe()
        try:
            with processes.oom_victims:
                process = os.fork()
        except OSError:
            self._control.close()
            kernel_control.close()
            for descriptor in (self._stdout, self._stderr, kernel_stdout, kernel_stderr):
                os.close(descriptor)
            raise
        if process == 0:
            _become_kernel(kernel_control, kernel_stdout, kernel_stderr)
        self._process = process
        self._end = processes.exit_of(process)
        self._control.setblocking(False)
        kernel_control.close()
        os.close(kernel_stdout)
        os.close(kernel_stderr)

    async def wait_ready(self) -> bool:
        """Waits until the kernel accepts code. Returns False if it died first."""
        return await self._read_int() == READY

    async def run(self, code: bytes, seconds: float, grace_seconds: float, budget: Budget) -> Outcome:
        """Runs one cell. At the time limit, interrupts it and keeps the variables. Kills it after `grace_seconds`."""
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


def _become_kernel(control: socket.socket, stdout: int, stderr: int) -> NoReturn:
    """Turns the forked process into a kernel. Closes all descriptors of the supervisor."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, _ignore)
        os.setsid()
        stdin = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((stdin, stdout, stderr)):
            os.dup2(source, target)
        os.dup2(control.fileno(), CONTROL_DESCRIPTOR, inheritable=False)
        control.detach()
        os.closerange(CONTROL_DESCRIPTOR + 1, 1 << 16)
        # Code may read its own entries in /proc. Only those of the supervisor are inaccessible.
        ctypes.CDLL(None).prctl(SET_DUMPABLE, 1, 0, 0, 0)
        os.nice(NICENESS)
        _serve(socket.socket(fileno=CONTROL_DESCRIPTOR))
    finally:
        os._exit(KERNEL_SETUP_FAILED)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Ignores an interrupt between two cells."""


def _serve(control: socket.socket) -> NoReturn:
    stdout, stderr = sys.stdout, sys.stderr = _text_stream(1), _text_stream(2)
    sys.path[:] = ["", *_import_path()]  # the working directory first, as in a notebook
    select_inline_backend()
    shell, kernel, flush_c_streams = _shell(), os.getpid(), ctypes.CDLL(None).fflush
    _show_tracebacks(shell, stderr)
    control.sendall(INT32.pack(READY))
    while True:
        size = control.recv(INT32.size, socket.MSG_WAITALL)
        if len(size) < INT32.size:
            os._exit(0)
        code = control.recv(INT32.unpack(size)[0], socket.MSG_WAITALL).decode("utf-8", "replace")
        succeeded = _run_cell(shell, code, stderr)
        if os.getpid() != kernel:
            os._exit(0)  # a fork of the code returned here; only the kernel responds
        for stream in (stdout, stderr, sys.stdout, sys.stderr):
            _flush(stream)
        flush_c_streams(None)
        displays = DISPLAYS.drain()
        control.sendall(INT32.pack(int(not succeeded)) + INT32.pack(len(displays)) + displays)


def _run_cell(shell: Any, code: str, stderr: TextIO) -> bool:
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return bool(shell.run_cell(code, store_history=True).success)
    except KeyboardInterrupt:
        _write(stderr, "KeyboardInterrupt\n")
        return False
    except Exception:  # an error of IPython, for example after code replaced sys.stderr
        _write(stderr, traceback.format_exc())
        return False
    finally:
        signal.signal(signal.SIGINT, _ignore)


def _show_tracebacks(shell: Any, stderr: TextIO) -> None:
    """Writes tracebacks to the kernel's original stderr, as in the service, even if code replaced sys.stderr."""

    def show(_kind: object, _error: object, lines: list[str]) -> None:
        _write(stderr, shell.InteractiveTB.stb2text(lines) + "\n")

    shell._showtraceback = show


def _write(stream: TextIO, text: str) -> None:
    with suppress(OSError, ValueError):  # code closed the stream
        stream.write(text)


def _flush(stream: Any) -> None:
    with suppress(Exception):  # code closed or replaced the stream
        stream.flush()


def _text_stream(descriptor: int) -> io.TextIOWrapper:
    raw = open(descriptor, "wb", closefd=False)  # noqa: SIM115  open as long as the process
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True)


def _enable_no_gui(_name: str | None = None) -> None:
    """Enables no GUI event loop. `%matplotlib inline` needs none."""


@cache
def _import_path() -> list[str]:
    return list(sys.path)


@cache
def _shell() -> Any:
    """Returns an IPython shell that behaves as the service: plain tracebacks on stderr, values without `Out[n]`."""
    interactive_shell = importlib.import_module("IPython.core.interactiveshell").InteractiveShell
    configuration = importlib.import_module("traitlets.config").Config()
    configuration.HistoryManager.enabled = False
    shell = interactive_shell.instance(config=configuration, colors="nocolor", xmode="Context")
    shell.displayhook.write_output_prompt = lambda: None
    shell.enable_gui = _enable_no_gui
    shell.ask_exit = lambda: None  # exit() and quit() do not end the session
    capture_displays(shell, DISPLAYS)
    return shell
