"""What each operation answers. A program that fails is a result too."""

from __future__ import annotations

from typing import Annotated, Literal

from sandpiper_contract.field_types import AnyString, Boolean, Choice, Integer, ListOf, Number, S3Object, S3Uri
from sandpiper_contract.files import MAX_FILES, OutputFile, SkippedFile
from sandpiper_contract.handles import SessionHandle, TaskHandle
from sandpiper_contract.records import Nested, Record, record

MAX_SKIPPED = 100_000
TaskStatus = Literal["submitted", "working", "completed", "canceled", "failed"]
TASK_STATUSES: tuple[TaskStatus, ...] = ("submitted", "working", "completed", "canceled", "failed")
RUNNING_STATUSES: tuple[TaskStatus, ...] = ("submitted", "working")
"""The service's words for a command that has not ended."""

_Files = Annotated[tuple[OutputFile, ...], ListOf(Nested(OutputFile), MAX_FILES), "What came back."]
_Skipped = Annotated[tuple[SkippedFile, ...], ListOf(Nested(SkippedFile), MAX_SKIPPED), "What did not, and why."]
_Manifest = Annotated[
    S3Object | None, S3Uri(), "Where both lists are whole, when they are too long for a workflow's state."
]
_Stdout = Annotated[str, AnyString(), "What the program printed, cut in the middle when it is long."]
_Stderr = Annotated[str, AnyString(), "What it printed as errors, cut likewise."]
_StdoutUri = Annotated[S3Object | None, S3Uri(), "Where a long stdout is whole."]
_StderrUri = Annotated[S3Object | None, S3Uri(), "Where a long stderr is whole."]
EXIT_CODE = Integer(-(2**31), 2**32, "exit code")
MILLISECONDS = Number("ms")
_ExitCode = Annotated[int, EXIT_CODE, "0 means success."]


@record
class RunResult(Record):
    """What one program printed, how it ended and which files it left."""

    stdout: _Stdout
    stderr: _Stderr
    exit_code: _ExitCode
    execution_time_ms: Annotated[float, MILLISECONDS, "As the service measured it, in milliseconds."]
    files: _Files = ()
    skipped: _Skipped = ()
    stdout_uri: _StdoutUri = None
    stderr_uri: _StderrUri = None
    manifest_uri: _Manifest = None
    session: Annotated[
        SessionHandle | None, Nested(SessionHandle), "In an open session: the handle for the next call."
    ] = None


@record
class StartedCommand(Record):
    """A command that runs on."""

    task: Annotated[TaskHandle, Nested(TaskHandle), "What poll_command and stop_command take."]
    status: Annotated[TaskStatus, Choice(TASK_STATUSES), "The service's word for how it is."]


@record
class CommandState(Record):
    """How a started command is. What it printed, its files and its exit code are there once it has ended."""

    status: Annotated[TaskStatus, Choice(TASK_STATUSES), "The service's word for how it is."]
    ended: Annotated[bool, Boolean(), "Whether the status is the last one."]
    stdout: _Stdout = ""
    stderr: _Stderr = ""
    exit_code: Annotated[int | None, EXIT_CODE, "0 means success."] = None
    execution_time_ms: Annotated[float | None, MILLISECONDS, "As the service measured it, in milliseconds."] = None
    files: _Files = ()
    skipped: _Skipped = ()
    stdout_uri: _StdoutUri = None
    stderr_uri: _StderrUri = None
    manifest_uri: _Manifest = None


@record
class OpenedSession(Record):
    """A session that is open until it is closed or its lifetime ends."""

    session: Annotated[SessionHandle, Nested(SessionHandle), "What the other operations take."]


@record
class ClosedSession(Record):
    """A session that has ended."""

    closed: Annotated[bool, Boolean(), "Whether this call ended it; false when it had ended before."]


@record
class CollectedFiles(Record):
    """Files of an open session."""

    files: _Files
    skipped: _Skipped
    session: Annotated[SessionHandle, Nested(SessionHandle), "The session's handle for the next call."]
    manifest_uri: _Manifest = None
