"""A running sandbox as the host sees it: start it, send requests to it, end it.

The host never opens a file of the sandbox and does not trust the data that it receives.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import socket
import time
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SandboxEndedError
from .budget import Use
from .cgroups import PROCESSES
from .channel import Channel
from .internet_access import InternetAccess
from .listeners import Handler, Listener, receive_descriptors
from .memory import Scan, count_open_files, resident_bytes, scan, watch
from .oom_score import oom_kills_of_machine, send_oom_score
from .preflight import explain_start_failure
from .process_tree import ProcessTree
from .processor_time import processor_seconds
from .responses import TaskReport, parse_entries, parse_execution, raise_for_error
from .uid_allocation import allocate_uid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .blueprint import Blueprint
    from .cgroups import SandboxCgroups
    from .guest.frames import Frame
    from .responses import Entry, Execution

START_SECONDS = 60.0
RESPONSE_SECONDS = 60.0
SIGKILL_EXIT_CODE = 128 + signal.SIGKILL

log = logging.getLogger(__name__)
_numbers = itertools.count(1)


class Sandbox:
    """A started sandbox. Create it with `start` and end it with `end`."""

    def __init__(
        self, blueprint: Blueprint, processes: ProcessTree, channel: Channel, listeners: list[Listener],
        file_systems: list[int], terminals: int, groups: SandboxCgroups, clean_up: AsyncExitStack,
    ) -> None:  # fmt: skip
        """Takes over the parts of a sandbox.

        Args:
            blueprint: How the sandbox was built.
            processes: Its processes.
            channel: Connection to its supervisor.
            listeners: Its listeners, in the order of the network spec.
            file_systems: Descriptors of its writable file systems.
            terminals: Descriptor of the directory of its terminals.
            groups: Its control groups.
            clean_up: Ends and removes all of these.
        """
        self._limits = blueprint.limits
        self._processes = processes
        self._channel = channel
        self._listeners = listeners
        self._file_systems, self._terminals = file_systems, terminals
        self._groups = groups
        self.end_reason: str | None = None
        self._clean_up = clean_up
        self._watchdog_kills = 0
        self._ending: asyncio.Task[None] | None = None
        self._cell_lock = asyncio.Lock()
        self._uses_watchdog = not blueprint.groups.counts_memory
        self._counts_processes = blueprint.groups.version_of(PROCESSES) is not None
        self._kernel_kills = self._possible_kernel_kills()
        self.assigned = False
        """Whether a session has the sandbox. Before, it runs no code, and its limits need no watching."""

    @classmethod
    async def start(cls, blueprint: Blueprint) -> Sandbox:
        """Starts a sandbox and returns when its kernel accepts code.

        Raises:
            SandboxUnavailableError: The sandbox does not start on this machine.
        """
        number, network = next(_numbers), blueprint.network
        uid = allocate_uid(number)
        async with AsyncExitStack() as clean_up:
            groups = blueprint.groups.create(number, blueprint.limits)
            clean_up.push_async_callback(groups.remove)
            host_end, guest_end = socket.socketpair()
            clean_up.callback(host_end.close)
            with guest_end:
                processes = ProcessTree.spawn(blueprint, guest_end, groups, uid)
            clean_up.push_async_callback(processes.end)
            counts = (len(network.listeners), len(blueprint.limits.file_systems()) + 1, 2 if network.internet else 0)
            descriptors = iter(await receive_descriptors(host_end, sum(counts)))
            opened, directories, namespaces = (list(itertools.islice(descriptors, count)) for count in counts)
            listeners = [Listener(socket.socket(fileno=descriptor)) for descriptor in opened]
            for listener in listeners:
                clean_up.push_async_callback(listener.close)
            for descriptor in directories:
                clean_up.callback(os.close, descriptor)
            with ExitStack() as namespace_descriptors:
                for descriptor in namespaces:
                    namespace_descriptors.callback(os.close, descriptor)
                try:
                    await send_oom_score(host_end, processes, START_SECONDS)
                    channel = await Channel.wrap(host_end)
                    clean_up.push_async_callback(channel.close)
                    if namespaces:
                        user_namespace, network_namespace = namespaces
                        internet = await InternetAccess.join(user_namespace, network_namespace, uid, groups.procs_files)
                        clean_up.push_async_callback(internet.end)
                    await asyncio.wait_for(channel.wait_ready(), START_SECONDS)
                    processes.pin_init()
                except (SandboxEndedError, TimeoutError) as error:
                    diagnosis = await processes.read_startup_error()
                    raise explain_start_failure(diagnosis or str(error), blueprint.bubblewrap.version) from error
            processes.close_stderr()
            *file_systems, terminals = directories
            return cls(blueprint, processes, channel, listeners, file_systems, terminals, groups, clean_up.pop_all())

    def assign(self) -> None:
        """Marks the sandbox as that of a session, and starts to watch its memory if no control group limits it."""
        self.assigned = True
        if self._uses_watchdog:
            self._clean_up.callback(asyncio.create_task(self._watch_memory()).cancel)

    @property
    def alive(self) -> bool:
        """Whether the sandbox accepts requests."""
        return not self._channel.ended.is_set()

    @property
    def ended(self) -> bool:
        """Whether all processes of the sandbox have ended."""
        return self._ending is not None and self._ending.done()

    @property
    def process(self) -> int:
        """The id on the host of the root process of the sandbox."""
        return self._processes.root_pid

    def use(self) -> Use:
        """Returns what the sandbox uses at most."""
        disk = self._disk_bytes()
        scanned = scan(self.process) if self._uses_watchdog or not self._counts_processes else Scan()
        memory = disk + scanned.memory_bytes if self._uses_watchdog else self._groups.memory_bytes(with_cache=True)
        processes = self._groups.processes() if self._counts_processes else scanned.processes
        terminals = _count_terminals(self._terminals) if self._ending is None else 0
        return Use(memory, disk, processes, terminals)

    def _disk_bytes(self) -> int:
        """Returns the size of the files. 0 while the sandbox ends: its descriptors may already be other files."""
        used = sum(map(_used_bytes, self._file_systems))
        return used if self._ending is None else 0

    def memory_bytes(self) -> int:
        """Returns the memory of the sandbox with its files. May take long."""
        if self._uses_watchdog:
            return resident_bytes(self.process) + self._disk_bytes()
        return self._groups.memory_bytes(with_cache=False)

    def metered_bytes(self) -> int:
        """Returns the memory with files in bytes: exactly with a control group, else an upper bound. Takes no long."""
        return self.use().memory_bytes if self._uses_watchdog else self._groups.memory_bytes(with_cache=False)

    def processor_seconds(self) -> float:
        """Returns the CPU time of all processes so far in seconds: exactly with a control group, else an estimate."""
        counted = self._groups.processor_seconds()
        return processor_seconds(self.process) if counted is None else counted

    def open_files(self) -> int:
        """Returns the number of open files of all processes. May take long."""
        return count_open_files(self.process)

    def serve(self, handlers: Sequence[Handler]) -> None:
        """Starts to serve the listeners. Handlers are in the order of the network spec's listeners."""
        for listener, handler in zip(self._listeners, handlers, strict=True):
            listener.serve(handler)

    async def execute(self, code: str, *, clear_context: bool, seconds: float) -> Execution:
        """Runs one cell of Python in the session's kernel, after the cells requested before it.

        Args:
            code: The cell.
            clear_context: Whether to start a new kernel first.
            seconds: Time limit in s.

        Raises:
            SandboxEndedError: The sandbox ended, or it exceeded the time limit and was ended.
        """
        async with self._cell_lock:  # waiting for earlier cells does not count for the time limit
            execution = await self._run({"op": "execute", "clear": clear_context}, code, seconds)
            kills_before, self._kernel_kills = self._kernel_kills, self._possible_kernel_kills()
            killed = execution.kernel_exit_code == -signal.SIGKILL and not execution.timed_out
            # The kernel may have died since the cell before.
            return replace(execution, out_of_memory=True) if killed and self._kernel_kills > kills_before else execution

    async def command(self, command: str, *, seconds: float) -> Execution:
        """Runs one command in a new shell.

        Raises:
            SandboxEndedError: The sandbox ended, or it exceeded the time limit and was ended.
        """
        return await self._run({"op": "command"}, command, seconds)

    async def script(self, code: str, language: str, runtime: str, *, seconds: float) -> Execution:
        """Runs one JavaScript or TypeScript program in a new process.

        Raises:
            SandboxEndedError: The sandbox ended, or it exceeded the time limit and was ended.
        """
        return await self._run({"op": "script", "language": language, "runtime": runtime}, code, seconds)

    async def start_task(self, identifier: str, command: str, *, seconds: float) -> None:
        """Starts a command in the background under the caller's id.

        Raises:
            OperationError: The command cannot be started.
            SandboxEndedError: The sandbox ended.
        """
        message = {"op": "start_task", "task": identifier, "seconds": seconds}
        await self._request(message, command.encode("utf-8", "surrogatepass"))

    async def task(self, identifier: str) -> TaskReport:
        """Returns the state of a task.

        Raises:
            OperationError: The sandbox refused the request.
            SandboxEndedError: The sandbox ended.
        """
        frame = await self._request({"op": "task", "task": identifier})
        match frame.message.get("state"):
            case "missing" | "working" | "canceled" as state:
                return TaskReport(state, None)
            case _:
                elapsed = frame.message.get("elapsed")
        seconds = float(elapsed) if isinstance(elapsed, (int, float)) else 0.0
        # The kernel does not report which process the memory limit ended. A killed task may be one of them.
        killed = frame.message.get("exit_code") == SIGKILL_EXIT_CODE and self._oom_kills() > 0
        return TaskReport("ended", self._execution(frame, seconds, out_of_memory=killed))

    async def stop_task(self, identifier: str) -> None:
        """Ends a running task and returns when its command has ended.

        Raises:
            OperationError: The sandbox refused the request.
            SandboxEndedError: The sandbox ended.
        """
        await self._request({"op": "stop_task", "task": identifier})

    async def write_file(self, path: str, data: bytes) -> None:
        """Writes a file below the working directory.

        Raises:
            OperationError: The file cannot be written.
            SandboxEndedError: The sandbox ended.
        """
        await self._request({"op": "write", "path": path}, data)

    async def read_file(self, path: str) -> bytes:
        """Returns the bytes of a file. Raises the same errors as `write_file`."""
        return (await self._request({"op": "read", "path": path})).payload

    async def remove_file(self, path: str) -> None:
        """Removes a file. Raises the same errors as `write_file`."""
        await self._request({"op": "remove", "path": path})

    async def list_directory(self, path: str) -> list[Entry]:
        """Returns the entries of a directory, sorted by name. Raises the same errors as `write_file`."""
        return parse_entries((await self._request({"op": "list", "path": path})).payload)

    async def end(self) -> None:
        """Ends all processes of the sandbox and waits for them. Further calls have no effect."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def end_because(self, reason: str) -> None:
        """Ends the sandbox like `end`, with a reason for its session."""
        self.end_reason = self.end_reason or reason
        await self.end()

    async def _run(self, message: Mapping[str, Any], text: str, seconds: float) -> Execution:
        kills_before, started = self._oom_kills(), time.monotonic()
        request = self._channel.request({**message, "seconds": seconds}, text.encode("utf-8", "surrogatepass"))
        timeout = seconds + self._limits.grace_seconds + RESPONSE_SECONDS
        try:
            response = await asyncio.wait_for(request, timeout)
        except TimeoutError as error:
            self._processes.kill()
            raise SandboxEndedError("the sandbox exceeded the time limit of a call") from error
        return self._execution(response, time.monotonic() - started, out_of_memory=self._oom_kills() > kills_before)

    def _execution(self, frame: Frame, seconds: float, *, out_of_memory: bool) -> Execution:
        try:
            return parse_execution(frame, seconds, out_of_memory=out_of_memory)
        except SandboxEndedError:
            self._processes.kill()
            raise

    async def _request(self, message: Mapping[str, Any], data: bytes = b"") -> Frame:
        return raise_for_error(await self._channel.request(message, data))

    async def _end(self) -> None:
        self._processes.kill()
        await self._clean_up.aclose()

    def _oom_kills(self) -> int:
        return self._watchdog_kills if self._uses_watchdog else self._groups.oom_kills()

    def _possible_kernel_kills(self) -> int:
        """Returns how many processes the lack of memory has ended, of which one may be the Python kernel."""
        return self._oom_kills() + (oom_kills_of_machine() if self._uses_watchdog else 0)

    async def _watch_memory(self) -> None:
        async def kill_code() -> None:
            self._watchdog_kills += 1
            with suppress(SandboxEndedError, TimeoutError):
                await asyncio.wait_for(self._channel.request({"op": "kill_code"}), 0.5)

        try:
            await watch(self.process, self._limits.memory_bytes, kill_code, self._processes.kill)
        except Exception:  # a sandbox must not run without a memory limit
            log.exception("The memory of a sandbox cannot be checked; the sandbox is ended")
            self._processes.kill()


def _used_bytes(file_system: int) -> int:
    with suppress(OSError):  # closed meanwhile: the sandbox is ending
        status = os.fstatvfs(file_system)
        return (status.f_blocks - status.f_bfree) * status.f_frsize
    return 0


def _count_terminals(directory: int) -> int:
    with suppress(OSError):  # closed meanwhile: the sandbox is ending
        # Through /proc, so that scans at the same time do not share the position of the descriptor. Without ptmx.
        return len(list(Path(f"/proc/self/fd/{directory}").iterdir())) - 1
    return 0
