"""Typed responses of a sandbox. Raw responses are untrusted until they are parsed here."""

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
    """A file or task operation that the sandbox refused.

    Attributes:
        errno: Number as in the errno module, or 0 if unknown.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.errno = number


@dataclass(frozen=True)
class Execution:
    """The result of a cell or command.

    Attributes:
        exit_code: 0 means success.
        seconds: Duration in s, without waiting for earlier calls.
        stdout: Bytes as printed. Contains a command's stderr, because commands write to one terminal.
        stderr: Bytes as printed.
        timed_out: Whether the time limit of the call ended the code.
        truncated: Whether output was discarded.
        kernel_exit_code: Exit code of a kernel that died, negative for a signal.
        out_of_memory: Whether a process was ended because of a memory limit, or because the machine had no memory.
        displays: Images and tables that a cell displayed.
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
    """The state of a task. It has an execution once it has ended by itself."""

    state: TaskState
    execution: Execution | None


@dataclass(frozen=True)
class Entry:
    """One entry of a directory."""

    name: str
    is_directory: bool


def raise_for_error(frame: Frame) -> Frame:
    """Returns the response if it reports no error.

    Raises:
        OperationError: The response reports an error.
    """
    if "error" in frame.message:
        number = frame.message.get("errno")
        raise OperationError(number if isinstance(number, int) else 0, str(frame.message["error"])[:1000])
    return frame


def parse_execution(frame: Frame, seconds: float, *, out_of_memory: bool) -> Execution:
    """Parses the result of a cell or command.

    Args:
        frame: The response.
        seconds: Duration in s.
        out_of_memory: Whether the memory limit ended a process meanwhile.

    Raises:
        SandboxEndedError: The code could not be run, so the sandbox is not usable any more.
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
    """Parses the listing of a directory.

    Raises:
        OperationError: The payload is not a listing.
    """
    try:
        rows: object = json.loads(payload)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise OperationError(0, "the sandbox sent an invalid listing")
    entries: list[Entry] = []
    for row in cast("list[object]", rows):
        match row:
            case [str(name), bool(is_directory)]:
                entries.append(Entry(_as_valid_text(name), is_directory))
            case _:
                raise OperationError(0, "the sandbox sent an invalid listing")
    return entries


def _as_valid_text(name: str) -> str:
    """Returns a file name, whose bytes need not be UTF-8, as text that JSON can represent."""
    return name.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
