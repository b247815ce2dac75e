"""The results of the operations. A program that fails has a result too."""

from __future__ import annotations

from typing import Annotated, Literal

from sandpiper_contract.field_types import MAX_NUMBER, AnyString, Boolean, Choice, Integer, ListOf, Number, Text
from sandpiper_contract.files import MAX_FILES, OutputFile, SkippedFile
from sandpiper_contract.handles import SessionHandle, TaskHandle
from sandpiper_contract.records import Nested, Record, record
from sandpiper_contract.s3_objects import S3Object, S3Uri

MAX_SKIPPED = 100_000
"""Maximum number of skipped files in a result."""
TaskStatus = Literal["submitted", "working", "completed", "canceled", "failed"]
TASK_STATUSES: tuple[TaskStatus, ...] = ("submitted", "working", "completed", "canceled", "failed")
RUNNING_STATUSES: tuple[TaskStatus, ...] = ("submitted", "working")
"""The statuses of a command that has not ended."""

_Files = Annotated[
    tuple[OutputFile, ...], ListOf(Nested(OutputFile), MAX_FILES), "The files that were returned or stored."
]
_Skipped = Annotated[
    tuple[SkippedFile, ...],
    ListOf(Nested(SkippedFile), MAX_SKIPPED),
    "The files that were not returned, with the reasons.",
]
_Manifest = Annotated[
    S3Object | None, S3Uri(), "The address of the complete lists of files, if they are too long for a workflow's state."
]
_Stdout = Annotated[str, AnyString(), "The program's output to stdout, truncated in the middle if it is long."]
_Stderr = Annotated[str, AnyString(), "The program's output to stderr, truncated in the middle if it is long."]
_StdoutUri = Annotated[S3Object | None, S3Uri(), "The address of the complete stdout, if it is truncated."]
_StderrUri = Annotated[S3Object | None, S3Uri(), "The address of the complete stderr, if it is truncated."]
_PATH_DESCRIPTION = (
    "While the command runs: the file in the session that {stream} is written to. At 16 MiB it is renamed to the same "
    "path with `.1`."
)
_StdoutPath = Annotated[str | None, AnyString(), _PATH_DESCRIPTION.format(stream="stdout")]
_StderrPath = Annotated[str | None, AnyString(), _PATH_DESCRIPTION.format(stream="stderr")]
EXIT_CODE = Integer(-(2**31), 2**32, "exit code")
MILLISECONDS = Number("ms")
TIMED_OUT_EXIT_CODE = 124
"""The exit code of a program that timed out, as of timeout(1)."""
_ExitCode = Annotated[int, EXIT_CODE, f"0 means success, and {TIMED_OUT_EXIT_CODE} with `timedOut` a timeout."]
_TimedOut = Annotated[bool, Boolean(), "Whether the program was ended because it ran longer than its timeout."]


@record
class Usage(Record):
    """What the invocation that returned the result used. Returning a stored result again uses little."""

    calls: Annotated[int, Integer(0, MAX_NUMBER, "calls"), "Calls to AgentCore."]
    session_seconds: Annotated[
        float,
        Number("seconds"),
        "How long the sessions that this invocation ended had been live. 0 while the session stays open.",
    ]
    estimated_usd: Annotated[
        float, Number("USD"), "Estimated cost in US dollars: AgentCore, Lambda and Step Functions. See docs/costs.md."
    ]


_Usage = Annotated[Usage | None, Nested(Usage), "Usage and estimated cost. Absent in results of older releases."]


@record
class RunResult(Record):
    """The output, exit code and files of a program."""

    stdout: _Stdout
    stderr: _Stderr
    exit_code: _ExitCode
    execution_time_ms: Annotated[float, MILLISECONDS, "Execution time as measured by the service, in milliseconds."]
    timed_out: _TimedOut = False
    files: _Files = ()
    skipped: _Skipped = ()
    stdout_uri: _StdoutUri = None
    stderr_uri: _StderrUri = None
    manifest_uri: _Manifest = None
    session: Annotated[
        SessionHandle | None, Nested(SessionHandle), "In an open session: the handle for the next call."
    ] = None
    usage: _Usage = None


@record
class StartedCommand(Record):
    """A command that is running."""

    task: Annotated[TaskHandle, Nested(TaskHandle), "The handle for `poll_command` and `stop_command`."]
    status: Annotated[TaskStatus, Choice(TASK_STATUSES), "The service's status of the command."]


@record
class CommandState(Record):
    """The state of a started command. Complete output, exit code and files are present when it has ended.

    While it runs, `stdout` and `stderr` are the last lines, at most 64 KiB together.
    """

    status: Annotated[TaskStatus, Choice(TASK_STATUSES), "The service's status of the command."]
    ended: Annotated[bool, Boolean(), "Whether the status is final."]
    stdout: _Stdout = ""
    stderr: _Stderr = ""
    exit_code: Annotated[
        int | None, EXIT_CODE, f"0 means success, and {TIMED_OUT_EXIT_CODE} with `timedOut` a timeout."
    ] = None
    execution_time_ms: Annotated[
        float | None, MILLISECONDS, "Execution time as measured by the service, in milliseconds."
    ] = None
    timed_out: _TimedOut = False
    files: _Files = ()
    skipped: _Skipped = ()
    stdout_path: _StdoutPath = None
    stderr_path: _StderrPath = None
    stdout_uri: _StdoutUri = None
    stderr_uri: _StderrUri = None
    manifest_uri: _Manifest = None
    usage: _Usage = None


@record
class OpenedSession(Record):
    """A session that stays open until it is closed or its lifetime ends."""

    session: Annotated[SessionHandle, Nested(SessionHandle), "The handle for the other operations."]


@record
class ClosedSession(Record):
    """A closed session."""

    closed: Annotated[bool, Boolean(), "Whether this call ended the session; false if it had already ended."]
    usage: _Usage = None


@record
class StoppedSessions(Record):
    """The stopped sessions of executions that have ended."""

    session_ids: Annotated[
        tuple[str, ...], ListOf(Text(255), MAX_SKIPPED), "The sessions that this call ended. Others had already ended."
    ]


@record
class CollectedFiles(Record):
    """Files of an open session."""

    files: _Files
    skipped: _Skipped
    session: Annotated[SessionHandle, Nested(SessionHandle), "The session's handle for the next call."]
    manifest_uri: _Manifest = None
