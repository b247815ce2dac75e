"""One running sandbox, seen from the host: start it, ask it for something, end it.

The host never opens a file of the sandbox itself and believes nothing that comes out of it.
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
from typing import TYPE_CHECKING, Any

from ..errors import SandboxEndedError
from .channel import Channel
from .internet_access import InternetAccess
from .listeners import Handler, Listener, receive_descriptors
from .memory import watch
from .preflight import explain_start_failure
from .process_tree import ProcessTree
from .responses import TaskReport, parse_entries, parse_execution, raise_for_error
from .sweep import cgroup_name
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
    """A started sandbox. Make one with `start`, and end it with `end`."""

    def __init__(
        self, blueprint: Blueprint, processes: ProcessTree, channel: Channel, listeners: list[Listener],
        groups: SandboxCgroups, clean_up: AsyncExitStack,
    ) -> None:  # fmt: skip
        """`clean_up` ends and removes all of them."""
        self._limits = blueprint.limits
        self._processes = processes
        self._channel = channel
        self._listeners = listeners
        self._groups = groups
        self._clean_up = clean_up
        self._memory_kills = 0
        self._ending: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._memory_is_watched = not blueprint.groups.counts_memory
        if self._memory_is_watched:
            clean_up.callback(asyncio.create_task(self._watch_memory()).cancel)

    @classmethod
    async def start(cls, blueprint: Blueprint) -> Sandbox:
        """Starts a sandbox and returns when its kernel takes code.

        Raises:
            SandboxUnavailableError: this machine does not let it start; says why.
        """
        number, network = next(_numbers), blueprint.network
        uid = allocate_uid(number)
        async with AsyncExitStack() as clean_up:
            groups = blueprint.groups.create(cgroup_name(number), blueprint.limits)
            clean_up.push_async_callback(groups.remove)
            near, far = socket.socketpair()
            clean_up.callback(near.close)
            with far:
                processes = ProcessTree.spawn(blueprint, far, groups, uid)
            clean_up.push_async_callback(processes.end)
            descriptors = await receive_descriptors(near, len(network.listeners) + (2 if network.internet else 0))
            opened, namespaces = descriptors[: len(network.listeners)], descriptors[len(network.listeners) :]
            listeners = [Listener(socket.socket(fileno=descriptor)) for descriptor in opened]
            for listener in listeners:
                clean_up.push_async_callback(listener.close)
            with ExitStack() as joined:
                for descriptor in namespaces:
                    joined.callback(os.close, descriptor)
                channel = await Channel.wrap(near)
                clean_up.push_async_callback(channel.close)
                try:
                    if namespaces:
                        user_namespace, network_namespace = namespaces
                        internet = await InternetAccess.join(
                            user_namespace, network_namespace, uid, groups.processes_files
                        )
                        clean_up.push_async_callback(internet.end)
                    await asyncio.wait_for(channel.wait_ready(), START_SECONDS)
                    processes.pin_init()
                except (SandboxEndedError, TimeoutError) as error:
                    words = await processes.read_startup_error()
                    raise explain_start_failure(words or str(error), blueprint.bubblewrap.version) from error
            processes.close_stderr()
            return cls(blueprint, processes, channel, listeners, groups, clean_up.pop_all())

    @property
    def alive(self) -> bool:
        """Whether it can be asked for something."""
        return not self._channel.ended.is_set()

    @property
    def process(self) -> int:
        """The id, on the host, of the process that everything in the sandbox descends from."""
        return self._processes.root_pid

    def serve(self, handlers: Sequence[Handler]) -> None:
        """Begins to serve its listeners, each with the handler of the same place in the blueprint's network."""
        for listener, handler in zip(self._listeners, handlers, strict=True):
            listener.serve(handler)

    async def execute(self, code: str, *, clear_context: bool, seconds: float) -> Execution:
        """Runs one cell of Python in the session's kernel, after those that were asked for before.

        Raises:
            SandboxEndedError: the sandbox went away, or did not keep its own time limit and was ended.
        """
        async with self._turn:  # the time limit counts from here, not from when the call began to wait
            return await self._run({"op": "execute", "clear": clear_context}, code, seconds)

    async def command(self, command: str, *, seconds: float) -> Execution:
        """Runs one command in a fresh shell.

        Raises:
            SandboxEndedError: as in `execute`.
        """
        return await self._run({"op": "command"}, command, seconds)

    async def script(self, code: str, language: str, runtime: str, *, seconds: float) -> Execution:
        """Runs one program of JavaScript or TypeScript, in a process of its own.

        Raises:
            SandboxEndedError: as in `execute`.
        """
        return await self._run({"op": "script", "language": language, "runtime": runtime}, code, seconds)

    async def start_task(self, identifier: str, command: str, *, seconds: float) -> None:
        """Starts a command that nobody waits for, under an id of the caller's.

        Raises:
            OperationError: it cannot be started.
            SandboxEndedError: the sandbox went away.
        """
        message = {"op": "start_task", "task": identifier, "seconds": seconds}
        await self._request(message, command.encode("utf-8", "surrogatepass"))

    async def task(self, identifier: str) -> TaskReport:
        """Returns how a task stands. Raises as `start_task` does."""
        frame = await self._request({"op": "task", "task": identifier})
        match frame.message.get("state"):
            case "missing" | "working" | "canceled" as state:
                return TaskReport(state, None)
            case _:
                elapsed = frame.message.get("elapsed")
        seconds = float(elapsed) if isinstance(elapsed, (int, float)) else 0.0
        # Which of the session's processes the memory limit has ended is not known; a task that was killed may be one.
        killed = frame.message.get("exit_code") == SIGKILL_EXIT_CODE and self._oom_kills() > 0
        return TaskReport("ended", self._execution(frame, seconds, out_of_memory=killed))

    async def stop_task(self, identifier: str) -> None:
        """Ends a task that works, and returns when its command has gone. Raises as `start_task` does."""
        await self._request({"op": "stop_task", "task": identifier})

    async def write_file(self, path: str, data: bytes) -> None:
        """Writes a whole file beneath the working directory.

        Raises:
            OperationError: it cannot be written.
            SandboxEndedError: the sandbox went away.
        """
        await self._request({"op": "write", "path": path}, data)

    async def read_file(self, path: str) -> bytes:
        """Returns a file's bytes. Raises as `write_file` does."""
        return (await self._request({"op": "read", "path": path})).payload

    async def remove_file(self, path: str) -> None:
        """Removes a file. Raises as `write_file` does."""
        await self._request({"op": "remove", "path": path})

    async def list_directory(self, path: str) -> list[Entry]:
        """Returns the entries of one folder, sorted by name. Raises as `write_file` does."""
        return parse_entries((await self._request({"op": "list", "path": path})).payload)

    async def end(self) -> None:
        """Ends everything in the sandbox and waits until it has gone. May be called twice."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _run(self, message: Mapping[str, Any], text: str, seconds: float) -> Execution:
        kills, started = self._oom_kills(), time.monotonic()
        request = self._channel.request({**message, "seconds": seconds}, text.encode("utf-8", "surrogatepass"))
        longest = seconds + self._limits.grace_seconds + RESPONSE_SECONDS
        try:
            answer = await asyncio.wait_for(request, longest)
        except TimeoutError as error:
            self._processes.kill()
            raise SandboxEndedError("the sandbox did not keep the time limit of a call") from error
        return self._execution(answer, time.monotonic() - started, out_of_memory=self._oom_kills() > kills)

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
        return self._memory_kills if self._memory_is_watched else self._groups.oom_kills()

    async def _watch_memory(self) -> None:
        async def kill_code() -> None:
            self._memory_kills += 1
            with suppress(SandboxEndedError, TimeoutError):
                await asyncio.wait_for(self._channel.request({"op": "kill_code"}), 0.5)

        try:
            await watch(self.process, self._limits.memory_bytes, kill_code, self._processes.kill)
        except Exception:  # unbounded it must not go on
            log.exception("The memory of a sandbox could not be watched: it is ended")
            self._processes.kill()
