"""What each operation answers. A program that fails is a result too."""

from __future__ import annotations

from typing import Annotated, Literal

from sandpiper_contract.field_types import Choice, Flag, Items, Number, Output, S3Object, S3Uri, WholeNumber
from sandpiper_contract.files import MOST_FILES, OutputFile, SkippedFile
from sandpiper_contract.handles import SessionHandle, TaskHandle
from sandpiper_contract.records import Of, Record, record

MOST_SKIPPED = 100_000
TaskStatus = Literal["submitted", "working", "completed", "canceled", "failed"]
STATUSES: tuple[TaskStatus, ...] = ("submitted", "working", "completed", "canceled", "failed")
RUNNING: tuple[TaskStatus, ...] = ("submitted", "working")
"""The service's words for a command that has not ended."""

_Files = Annotated[tuple[OutputFile, ...], Items(Of(OutputFile), MOST_FILES), "What came back."]
_Skipped = Annotated[tuple[SkippedFile, ...], Items(Of(SkippedFile), MOST_SKIPPED), "What did not, and why."]
_Manifest = Annotated[
    S3Object | None, S3Uri(), "Where both lists are whole, when they are too long for a workflow's state."
]
_Stdout = Annotated[str, Output(), "What the program printed, cut in the middle when it is long."]
_Stderr = Annotated[str, Output(), "What it printed as errors, cut likewise."]
_StdoutUri = Annotated[S3Object | None, S3Uri(), "Where a long stdout is whole."]
_StderrUri = Annotated[S3Object | None, S3Uri(), "Where a long stderr is whole."]
EXIT_CODE = WholeNumber(-(2**31), 2**32, "exit code")
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
    session: Annotated[SessionHandle | None, Of(SessionHandle), "In an open session: its handle for the next call."] = (
        None
    )


@record
class StartedCommand(Record):
    """A command that runs on."""

    task: Annotated[TaskHandle, Of(TaskHandle), "What poll_command and stop_command take."]
    status: Annotated[TaskStatus, Choice(STATUSES), "The service's word for how it is."]


@record
class CommandState(Record):
    """How a started command is. What it printed, its files and its exit code are there once it has ended."""

    status: Annotated[TaskStatus, Choice(STATUSES), "The service's word for how it is."]
    ended: Annotated[bool, Flag(), "Whether the status is the last one."]
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

    session: Annotated[SessionHandle, Of(SessionHandle), "What the other operations take."]


@record
class ClosedSession(Record):
    """A session that has ended."""

    closed: Annotated[bool, Flag(), "Whether this call ended it; false when it had ended before."]


@record
class CollectedFiles(Record):
    """Files of an open session."""

    files: _Files
    skipped: _Skipped
    session: Annotated[SessionHandle, Of(SessionHandle), "The session's handle for the next call."]
    manifest_uri: _Manifest = None
