"""One running sandbox, seen from the host: start it, ask it for something, end it.

The host never opens a file of the sandbox itself and believes nothing that comes out of it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from ..errors import SandboxEndedError
from .channel import Channel
from .displays import Displays, displays_of
from .listeners import Handler, Listener, receive_descriptors
from .memory import descendants, watch
from .outside import Outside
from .preflight import explain
from .sweep import group_name
from .users import unused_uid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .blueprint import Blueprint
    from .groups import Groups
    from .inside.frames import Frame

STUB = Path(__file__).parent / "stub.py"
TaskState = Literal["missing", "working", "ended", "canceled"]
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0
DIAGNOSIS_BYTES = 16 * 1024
EXECUTION_MEMBERS = ("exit_code", "stdout_bytes", "stderr_bytes", "death")
KILLED = 128 + signal.SIGKILL

log = logging.getLogger(__name__)
_numbers = itertools.count(1)


class OperationError(Exception):
    """Something about a file or a task that the sandbox refused.

    Attributes:
        errno: as in the errno module, 0 if the sandbox did not say.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.errno = number


@dataclass(frozen=True)
class Execution:
    """What became of a cell or command.

    Attributes:
        exit_code: 0 is success.
        seconds: how long it took, without waiting for its turn.
        stdout: bytes as printed. A command's stderr is in it, since it has one terminal.
        stderr: bytes as printed.
        timed_out: the call's time limit was reached and the code stopped.
        truncated: some output was thrown away.
        death: how the kernel ended, if it did: its exit code, negative for a signal.
        out_of_memory: the sandbox's memory limit ended something.
        displays: what a cell has shown besides text.
    """

    exit_code: int
    seconds: float
    stdout: bytes
    stderr: bytes
    timed_out: bool
    truncated: bool
    death: int | None
    out_of_memory: bool
    displays: Displays


@dataclass(frozen=True)
class TaskReport:
    """How a task stands. Its execution is there once it has ended, and only if it ended by itself."""

    state: TaskState
    execution: Execution | None


@dataclass(frozen=True)
class Entry:
    """One name in a folder."""

    name: str
    is_directory: bool


class Sandbox:
    """A started sandbox. Make one with `start`, and end it with `end`."""

    def __init__(
        self, blueprint: Blueprint, process: subprocess.Popen[bytes], channel: Channel, listeners: list[socket.socket],
        groups: Groups,
    ) -> None:  # fmt: skip
        self._limits = blueprint.limits
        self._process = process
        self._channel = channel
        self._listeners = [Listener(listener) for listener in listeners]
        self._groups = groups
        self._memory_is_watched = not blueprint.groups.count_memory
        self._outside: Outside | None = None
        self._init: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self._memory_kills = 0
        self._ending: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, blueprint: Blueprint) -> Sandbox:
        """Starts a sandbox and returns when its kernel takes code.

        Raises:
            SandboxUnavailableError: this machine does not let it start; says why.
        """
        number = next(_numbers)
        groups = blueprint.groups.create(group_name(number), blueprint.limits)
        near, far = socket.socketpair()
        uid = unused_uid(number)
        try:
            process = _spawn(blueprint, far, groups, uid)
        except BaseException:
            near.close()
            await groups.remove()
            raise
        finally:
            far.close()
        listeners = len(blueprint.reach.listeners)
        descriptors: list[int] = []
        try:
            descriptors = await receive_descriptors(near, listeners + (2 if blueprint.reach.outside else 0))
            channel = await Channel.over(near)
        except BaseException:
            near.close()
            for descriptor in descriptors:
                os.close(descriptor)
            await _abandon(process, groups)
            raise
        opened = [socket.socket(fileno=descriptor) for descriptor in descriptors[:listeners]]
        namespaces = descriptors[listeners:]
        sandbox = cls(blueprint, process, channel, opened, groups)
        try:
            if namespaces:
                user_namespace, network_namespace = namespaces
                sandbox._outside = await Outside.join(user_namespace, network_namespace, uid, groups.processes_files)
            await asyncio.wait_for(sandbox._channel.ready(), START_SECONDS)
            sandbox._hold_init()
        except (SandboxEndedError, TimeoutError) as error:
            diagnosis = await sandbox._diagnosis()
            await sandbox.end()
            raise explain(diagnosis or str(error), blueprint.bubblewrap.version) from error
        except BaseException:
            await sandbox.end()
            raise
        finally:
            for descriptor in namespaces:
                os.close(descriptor)
        if process.stderr is not None:
            process.stderr.close()
        if sandbox._memory_is_watched:
            sandbox._watch = asyncio.create_task(sandbox._watch_memory())
        return sandbox

    @property
    def alive(self) -> bool:
        """Whether it can be asked for something."""
        return not self._channel.ended.is_set()

    @property
    def process(self) -> int:
        """The id, on the host, of the process that everything in the sandbox descends from."""
        return self._process.pid

    def serve(self, handlers: Sequence[Handler]) -> None:
        """Begins to serve its listeners, each with the handler of the same place in the blueprint's reach."""
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
        killed = frame.message.get("exit_code") == KILLED and self._kills() > 0
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
        return entries_of((await self._request({"op": "list", "path": path})).payload)

    async def end(self) -> None:
        """Ends everything in the sandbox and waits until it has gone. May be called twice."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _run(self, message: Mapping[str, Any], text: str, seconds: float) -> Execution:
        kills, started = self._kills(), time.monotonic()
        request = self._channel.request({**message, "seconds": seconds}, text.encode("utf-8", "surrogatepass"))
        longest = seconds + self._limits.grace_seconds + ANSWER_SECONDS
        try:
            answer = await asyncio.wait_for(request, longest)
        except TimeoutError as error:
            self._kill()
            raise SandboxEndedError("the sandbox did not keep the time limit of a call") from error
        return self._execution(answer, time.monotonic() - started, out_of_memory=self._kills() > kills)

    def _execution(self, frame: Frame, seconds: float, *, out_of_memory: bool) -> Execution:
        message = frame.message
        exit_code, out, err, death = (message.get(name) for name in EXECUTION_MEMBERS)
        if not isinstance(exit_code, int) or not isinstance(out, int) or not isinstance(err, int):
            self._kill()
            raise SandboxEndedError(f"the sandbox could not run this: {str(message.get('error'))[:1000]}")
        return Execution(
            exit_code=max(-255, min(exit_code, 255)),
            seconds=seconds,
            stdout=frame.payload[: max(out, 0)],
            stderr=frame.payload[max(out, 0) : max(out, 0) + max(err, 0)],
            timed_out=message.get("timed_out") is True,
            truncated=message.get("truncated") is True,
            death=death if isinstance(death, int) else None,
            out_of_memory=out_of_memory,
            displays=displays_of(frame.payload[max(out, 0) + max(err, 0) :]),
        )

    async def _request(self, message: Mapping[str, Any], data: bytes = b"") -> Frame:
        answer = await self._channel.request(message, data)
        if "error" in answer.message:
            number = answer.message.get("errno")
            raise OperationError(number if isinstance(number, int) else 0, str(answer.message["error"])[:1000])
        return answer

    def _hold_init(self) -> None:
        """Opens the sandbox's process 1, so that killing it later cannot hit another process."""
        children = Path(f"/proc/{self.process}/task/{self.process}/children").read_text().split()
        if len(children) != 1:
            raise SandboxEndedError("bubblewrap has no single child")
        self._init = os.pidfd_open(int(children[0]))

    def _kill(self) -> None:
        """Ends process 1, and with it everything in the sandbox."""
        if self._init is None:  # it had not come that far: the stub, or bubblewrap and what it has started
            _kill_with_descendants(self.process)
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, signal.SIGKILL)

    async def _end(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._kill()
        await self._channel.close()
        for listener in self._listeners:
            await listener.close()
        if self._outside is not None:
            await self._outside.end()
        while self._process.poll() is None:  # bubblewrap ends by itself once process 1 has
            await asyncio.sleep(0.002)
        if self._init is not None:
            os.close(self._init)
        if self._process.stderr is not None:
            self._process.stderr.close()
        await self._groups.remove()

    def _kills(self) -> int:
        return self._memory_kills if self._memory_is_watched else self._groups.kills()

    async def _watch_memory(self) -> None:
        async def kill_code() -> None:
            self._memory_kills += 1
            with suppress(SandboxEndedError, TimeoutError):
                await asyncio.wait_for(self._channel.request({"op": "kill_code"}), 0.5)

        try:
            await watch(self.process, self._limits.memory_bytes, kill_code, self._kill)
        except Exception:  # unbounded it must not go on
            log.exception("The memory of a sandbox could not be watched: it is ended")
            self._kill()

    async def _diagnosis(self) -> str:
        """Returns what a sandbox that did not start has left on stderr."""
        stderr = self._process.stderr
        if stderr is None:
            return ""
        self._kill()
        text = await asyncio.to_thread(stderr.read, DIAGNOSIS_BYTES)
        return text.decode("utf-8", "replace").strip()


def _kill_with_descendants(process: int) -> None:
    for one in list(descendants(process)):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


async def _abandon(process: subprocess.Popen[bytes], groups: Groups) -> None:
    """Ends what was spawned before there is a sandbox that could."""
    _kill_with_descendants(process.pid)
    while process.poll() is None:
        await asyncio.sleep(0.002)
    if process.stderr is not None:
        process.stderr.close()
    await groups.remove()


def _spawn(blueprint: Blueprint, channel: socket.socket, groups: Groups, uid: int | None) -> subprocess.Popen[bytes]:
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
            [sys.executable, "-I", "-S", str(STUB)],
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


def entries_of(payload: bytes) -> list[Entry]:
    """Reads what a sandbox says is a listing.

    Raises:
        OperationError: it is none.
    """
    try:
        rows: object = json.loads(payload)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise OperationError(0, "the sandbox sent no listing")
    entries: list[Entry] = []
    for row in cast("list[object]", rows):
        match row:
            case [str(name), bool(is_directory)]:
                entries.append(Entry(_readable(name), is_directory))
            case _:
                raise OperationError(0, "the sandbox sent no listing")
    return entries


def _readable(name: str) -> str:
    """Returns a file's name, whose bytes need not be UTF-8, as text that can go into JSON."""
    return name.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
