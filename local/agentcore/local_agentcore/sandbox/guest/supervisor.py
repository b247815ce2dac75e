"""Process 1 of a sandbox: runs code, commands and file operations, and serves the host over one inherited socket.

Code can neither kill this process (the kernel discards signals that process 1 of a namespace does not handle) nor read
its memory (it is not dumpable). When the host closes the socket, this process exits, and with it the entire sandbox.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .cells import SET_DUMPABLE, KernelDescriptors, become_kernel, make_shell
from .commands import run_command
from .files import Files
from .forks import ForkingLoop
from .frames import Frame, FrameError, receive, send
from .kernel import Kernel, Outcome, start_failure
from .output import Budget
from .processes import ChildProcesses, OomVictims
from .scripts import run_script
from .tasks import ENDED, MISSING, Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass(frozen=True)
class Configuration:
    """Settings of one sandbox. Sizes are in bytes, times in s."""

    working_directory: str
    directories: list[str]
    files: dict[str, str]
    chart_cache: tuple[str, str]
    resource_limits: dict[str, int]
    output_bytes: int
    task_output_bytes: int
    grace_seconds: float
    read_bytes: int


class Supervisor:
    """Serves requests: one cell at a time, commands and file operations in parallel."""

    def __init__(
        self,
        configuration: Configuration,
        loop: ForkingLoop[KernelDescriptors],
        processes: ChildProcesses,
        kernel: Kernel,
    ) -> None:
        self._configuration = configuration
        self._files = Files(configuration.working_directory)
        self._loop = loop
        self._processes = processes
        self._kernel = kernel
        self._tasks = Tasks(self._processes, self._new_task_budget, configuration.grace_seconds)
        self._task_budget = Budget(configuration.task_output_bytes)
        self._cell_lock = asyncio.Lock()
        self._operations: dict[str, Callable[[dict[str, Any], bytes], Awaitable[Frame]]] = {
            "execute": self._execute,
            "command": self._command,
            "write": self._write,
            "read": self._read,
            "list": self._list,
            "remove": self._remove,
            "kill_code": self._kill_code,
            "script": self._script,
            "start_task": self._start_task,
            "task": self._task,
            "stop_task": self._stop_task,
        }

    async def serve(self, channel: socket.socket) -> NoReturn:
        """Serves requests until the host closes the socket."""
        reader, self._writer = await asyncio.open_connection(sock=channel)
        await self._kernel.wait_ready()
        await send(self._writer, Frame({"ready": True}))
        tasks: set[asyncio.Task[None]] = set()
        while True:
            try:
                request = await receive(reader)
            except (asyncio.IncompleteReadError, ConnectionError, FrameError):
                os._exit(0)
            task = asyncio.create_task(self._respond(request))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _respond(self, request: Frame) -> None:
        number = request.message["id"]
        try:
            response = await self._operations[request.message["op"]](request.message, request.payload)
        except OSError as error:
            response = Frame({"errno": error.errno or 0, "error": (error.strerror or str(error))[:1000]})
        except Exception as error:
            response = Frame({"errno": 0, "error": f"{type(error).__name__}: {error}"[:1000]})
        await send(self._writer, Frame({"id": number, **response.message}, response.payload))

    async def _execute(self, message: dict[str, Any], code: bytes) -> Frame:
        async with self._cell_lock:
            try:
                if message["clear"] or self._kernel.died_unused:
                    await self._replace_kernel()
            except OSError as error:
                return _outcome_frame(start_failure("A new Python kernel", error))
            outcome = await self._kernel.run(code, message["seconds"], self._grace_seconds, self._new_budget())
            if outcome.kernel_exit_code is not None:
                with suppress(OSError):  # the next cell fails and tries again
                    await self._replace_kernel()
        return _outcome_frame(outcome)

    async def _command(self, message: dict[str, Any], command: bytes) -> Frame:
        seconds, grace = message["seconds"], self._grace_seconds
        try:
            outcome = await run_command(command, seconds, grace, self._new_budget(), self._processes)
        except OSError as error:
            outcome = start_failure("A shell", error)
        return _outcome_frame(outcome)

    async def _script(self, message: dict[str, Any], code: bytes) -> Frame:
        kind, seconds, grace = (message["language"], message["runtime"]), message["seconds"], self._grace_seconds
        try:
            outcome = await run_script(code, kind, seconds, grace, self._new_budget(), self._processes)
        except OSError as error:
            outcome = start_failure(kind[1], error)
        return _outcome_frame(outcome)

    async def _start_task(self, message: dict[str, Any], command: bytes) -> Frame:
        self._tasks.start(message["task"], command, message["seconds"])
        return Frame({})

    async def _task(self, message: dict[str, Any], _payload: bytes) -> Frame:
        task = self._tasks.find(message["task"])
        if task is None or task.outcome is None or task.state != ENDED:
            return Frame({"state": MISSING if task is None else task.state})
        outcome = _outcome_frame(task.outcome)
        return Frame({**outcome.message, "state": task.state, "elapsed": task.seconds}, outcome.payload)

    async def _stop_task(self, message: dict[str, Any], _payload: bytes) -> Frame:
        await self._tasks.cancel(message["task"])
        return Frame({})

    async def _write(self, message: dict[str, Any], data: bytes) -> Frame:
        self._files.write(message["path"], data)
        return Frame({})

    async def _read(self, message: dict[str, Any], _payload: bytes) -> Frame:
        return Frame({}, self._files.read(message["path"], self._configuration.read_bytes))

    async def _list(self, message: dict[str, Any], _payload: bytes) -> Frame:
        return Frame({}, json.dumps(self._files.entries(message["path"])).encode())

    async def _remove(self, message: dict[str, Any], _payload: bytes) -> Frame:
        self._files.remove(message["path"])
        return Frame({})

    async def _kill_code(self, _message: dict[str, Any], _payload: bytes) -> Frame:
        """Kills every process of the sandbox except this one."""
        with suppress(ProcessLookupError):  # no other process
            os.kill(-1, signal.SIGKILL)
        return Frame({})

    async def _replace_kernel(self) -> None:
        old, self._kernel = self._kernel, await Kernel.start(self._loop, self._processes)
        old.close()
        await self._kernel.wait_ready()

    @property
    def _grace_seconds(self) -> float:
        return self._configuration.grace_seconds

    def _new_budget(self) -> Budget:
        return Budget(self._configuration.output_bytes)

    def _new_task_budget(self) -> Budget:
        return Budget(self._configuration.output_bytes, self._task_budget)


def _outcome_frame(outcome: Outcome) -> Frame:
    return Frame(
        {
            "exit_code": outcome.exit_code,
            "stdout_bytes": len(outcome.stdout),
            "stderr_bytes": len(outcome.stderr),
            "timed_out": outcome.timed_out,
            "truncated": outcome.truncated,
            "kernel_exit_code": outcome.kernel_exit_code,
        },
        outcome.stdout + outcome.stderr + outcome.displays,
    )


def _prepare(configuration: Configuration) -> None:
    """Creates the files of the working directory, and copies matplotlib's font cache, which is slow to create."""
    root = Path(configuration.working_directory)
    for name in configuration.directories:
        (root / name).mkdir()
    for name, text in configuration.files.items():
        (root / name).write_text(text)
    source, target = (Path(path) for path in configuration.chart_cache)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)


def main(descriptor: str) -> NoReturn:
    """Runs the supervisor, and the kernels that it forks.

    Args:
        descriptor: Number of the inherited socket.
    """
    become_kernel(_supervise(descriptor))


def _supervise(descriptor: str) -> KernelDescriptors:
    """Serves the host. Reads the configuration from standard input and reports start errors on stderr.

    Returns only in the fork that becomes a kernel, so that no object of the supervisor is in the stack of a kernel.
    """
    configuration = Configuration(**json.load(sys.stdin))
    channel = socket.socket(fileno=int(descriptor))
    channel.set_inheritable(False)
    oom_victims = OomVictims(channel)
    ctypes.CDLL(None).prctl(SET_DUMPABLE, 0, 0, 0, 0)
    for name, value in configuration.resource_limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    _prepare(configuration)
    make_shell()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.close(null)
    # With a handler of Python, SIGINT from the code would end process 1. With SIG_DFL, the kernel discards it. Not
    # SIG_IGN, because commands would inherit it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    loop: ForkingLoop[KernelDescriptors] = ForkingLoop()
    return loop.run(_run(channel, configuration, oom_victims, loop))


async def _run(
    channel: socket.socket,
    configuration: Configuration,
    oom_victims: OomVictims,
    loop: ForkingLoop[KernelDescriptors],
) -> None:
    processes = ChildProcesses(oom_victims)
    kernel = await Kernel.start(loop, processes)
    await Supervisor(configuration, loop, processes, kernel).serve(channel)
