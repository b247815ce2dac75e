"""What a sandbox answers, as types. It is hostile until it has been read here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from ..errors import SandboxEndedError
from .displays import Displays, parse_displays

if TYPE_CHECKING:
    from .guest.frames import Frame

TaskState = Literal["missing", "working", "ended", "canceled"]
EXECUTION_FIELDS = ("exit_code", "stdout_bytes", "stderr_bytes", "kernel_exit_code")


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
        kernel_exit_code: how the kernel ended, if it did: its exit code, negative for a signal.
        out_of_memory: the sandbox's memory limit ended something.
        displays: what a cell has shown besides text.
    """

    exit_code: int
    seconds: float
    stdout: bytes
    stderr: bytes
    timed_out: bool
    truncated: bool
    kernel_exit_code: int | None
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


def raise_for_error(frame: Frame) -> Frame:
    """Returns an answer that is no refusal.

    Raises:
        OperationError: it is one.
    """
    if "error" in frame.message:
        number = frame.message.get("errno")
        raise OperationError(number if isinstance(number, int) else 0, str(frame.message["error"])[:1000])
    return frame


def parse_execution(frame: Frame, seconds: float, *, out_of_memory: bool) -> Execution:
    """Reads what became of a cell or command, which took so many seconds.

    Raises:
        SandboxEndedError: it could not be run; the sandbox is of no use any more.
    """
    message = frame.message
    exit_code, out, err, kernel_exit_code = (message.get(name) for name in EXECUTION_FIELDS)
    if not isinstance(exit_code, int) or not isinstance(out, int) or not isinstance(err, int):
        raise SandboxEndedError(f"the sandbox could not run this: {str(message.get('error'))[:1000]}")
    return Execution(
        exit_code=max(-255, min(exit_code, 255)),
        seconds=seconds,
        stdout=frame.payload[: max(out, 0)],
        stderr=frame.payload[max(out, 0) : max(out, 0) + max(err, 0)],
        timed_out=message.get("timed_out") is True,
        truncated=message.get("truncated") is True,
        kernel_exit_code=kernel_exit_code if isinstance(kernel_exit_code, int) else None,
        out_of_memory=out_of_memory,
        displays=parse_displays(frame.payload[max(out, 0) + max(err, 0) :]),
    )


def parse_entries(payload: bytes) -> list[Entry]:
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
                entries.append(Entry(_as_valid_text(name), is_directory))
            case _:
                raise OperationError(0, "the sandbox sent no listing")
    return entries


def _as_valid_text(name: str) -> str:
    """Returns a file's name, whose bytes need not be UTF-8, as text that can go into JSON."""
    return name.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
