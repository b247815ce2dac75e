"""The requests of the operations."""

from __future__ import annotations

from typing import Annotated, Literal

from sandpiper_contract.field_types import Boolean, Choice, DependentChoice, Integer, ListOf, Text
from sandpiper_contract.files import DEFAULT_OUTPUTS, DISTINCT_INPUT_PATHS, MAX_INPUTS, InputFile, Outputs
from sandpiper_contract.handles import SessionHandle, TaskHandle
from sandpiper_contract.records import Nested, Record, record
from sandpiper_contract.rules import AtMostLess, DependentValues, ExactlyOne, ForbiddenValue, RequiresValue
from sandpiper_contract.s3_objects import S3Object, S3Uri

Language = Literal["python", "javascript", "typescript"]
Runtime = Literal["nodejs", "deno", "python"]

LANGUAGES: tuple[Language, ...] = ("python", "javascript", "typescript")
RUNTIMES: dict[Language, tuple[Runtime, ...]] = {
    "python": ("python",),
    "javascript": ("deno", "nodejs"),
    "typescript": ("deno", "nodejs"),
}
"""The runtimes of each language. The first is the service's default."""
_ALL_RUNTIMES: tuple[Runtime, ...] = ("deno", "nodejs", "python")
SESSION_TIMEOUT_SECONDS = (60, 28_800)
"""Minimum and maximum, as in the workflow connector. The service itself accepts 1 to 28,800 s."""
DEFAULT_SESSION_TIMEOUT_SECONDS = 300
DEFAULT_MAX_SESSION_TIMEOUT_SECONDS = 3_600
MAX_WORKFLOWS = 100
"""Maximum lifetime that a request can set for sessions of an interpreter that configures none. A forgotten session is
billed for at most an hour."""
DEFAULT_COMMAND_TIMEOUT_SECONDS = 3_600
"""Default lifetime of the session of a started command."""
TIMEOUT_RESERVE_SECONDS = 20
"""Time between a program's timeout and the end of its session or of its call: to end the program, which takes up to
14 s, and to collect its files."""
COMMAND_RESERVE_SECONDS = 300
"""The same for a started command, whose files are collected by the next poll, if its session's lifetime is an hour or
more. For a shorter lifetime, it is a twelfth of it, 20 s at least."""
TIMEOUT_SECONDS = (1, 840)
"""Minimum and maximum for a call that waits for its program. The service and Lambda limit a call to 900 s, of which 60
s are for the start of the session, the files and the record."""
COMMAND_TIMEOUT_SECONDS = (1, SESSION_TIMEOUT_SECONDS[1] - TIMEOUT_RESERVE_SECONDS)
"""Minimum and maximum for a started command."""

SourceCode = Annotated[str | None, Text(), "The program's source code."]
CodeS3UriField = Annotated[
    S3Object | None, S3Uri(), "The object that contains the program, as an alternative to `code`."
]
LanguageField = Annotated[Language, Choice(LANGUAGES), "The program's language."]
RuntimeField = Annotated[
    Runtime | None,
    DependentChoice(_ALL_RUNTIMES),
    "The runtime. Default: deno for JavaScript and TypeScript, python for Python.",
]
InterpreterField = Annotated[str | None, Text(255), "The key of one of the tenant's interpreters. Default: the first."]
_TIMEOUT_DESCRIPTION = "Maximum lifetime of the session from its start. Default: {default}."
SessionTimeoutField = Annotated[
    int | None,
    Integer(*SESSION_TIMEOUT_SECONDS, "seconds"),
    _TIMEOUT_DESCRIPTION.format(default=f"as configured for the interpreter, or {DEFAULT_SESSION_TIMEOUT_SECONDS} s"),
]
_PROGRAM_TIMEOUT_DESCRIPTION = (
    "Maximum time that the program may run. After it, the program is ended and the result has `timedOut`. Default: "
    "until the session's lifetime{or_call} ends, less the time for ending the program and collecting its files."
)
TimeoutField = Annotated[
    int | None,
    Integer(*TIMEOUT_SECONDS, "seconds"),
    _PROGRAM_TIMEOUT_DESCRIPTION.format(or_call=" or the function's time"),
]
TIMEOUT_LEAVES_RESERVE = AtMostLess("timeout_seconds", "session_timeout_seconds", TIMEOUT_RESERVE_SECONDS, "seconds")
InputsField = Annotated[
    tuple[InputFile, ...],
    ListOf(Nested(InputFile), MAX_INPUTS),
    "Files to write to the working directory before the program runs.",
]
OutputsField = Annotated[Outputs, Nested(Outputs), "Which files to return."]
FailOnErrorField = Annotated[bool, Boolean(), "Fail with `CodeFailed` if the exit code is not 0."]
RUNTIME_OF_LANGUAGE = DependentValues("runtime", {**RUNTIMES}, "language")
LANGUAGE_OF_CODE = (
    RequiresValue("language", ("javascript", "typescript"), "command", (None,)),
    RequiresValue("runtime", _ALL_RUNTIMES, "command", (None,)),
)
FIGURES_OF_PYTHON = RequiresValue("outputs.figures", (True,), "language", ("python",))
NO_FIGURES = ForbiddenValue(
    "outputs.figures", True, "figures are collected from programs only; let the command save its figures as files"
)
_Session = Annotated[
    SessionHandle, Nested(SessionHandle), "The handle that `open_session` or a later call in the session returned."
]


@record(kw_only=True)
class RunCode(Record):
    """Runs a program once in a new session."""

    RULES = (
        ExactlyOne(("code", "code_s3_uri")),
        RUNTIME_OF_LANGUAGE,
        TIMEOUT_LEAVES_RESERVE,
        FIGURES_OF_PYTHON,
        DISTINCT_INPUT_PATHS,
    )

    code: SourceCode = None
    code_s3_uri: CodeS3UriField = None
    language: LanguageField = "python"
    runtime: RuntimeField = None
    interpreter: InterpreterField = None
    timeout_seconds: TimeoutField = None
    session_timeout_seconds: SessionTimeoutField = None
    inputs: InputsField = ()
    outputs: OutputsField = DEFAULT_OUTPUTS
    fail_on_error: FailOnErrorField = False


@record(kw_only=True)
class RunCommand(Record):
    """Runs a shell command once in a new session."""

    RULES = (TIMEOUT_LEAVES_RESERVE, NO_FIGURES, DISTINCT_INPUT_PATHS)

    command: Annotated[str, Text(), "A command for /bin/sh, run in the working directory."]
    interpreter: InterpreterField = None
    timeout_seconds: TimeoutField = None
    session_timeout_seconds: SessionTimeoutField = None
    inputs: InputsField = ()
    outputs: OutputsField = DEFAULT_OUTPUTS
    fail_on_error: FailOnErrorField = False


@record(kw_only=True)
class StartCommand(Record):
    """Starts a command or a program that runs without a caller, for up to eight hours, in a new session.

    A program is written to a file and run as a command, because only commands can run longer than 15 minutes.
    """

    RULES = (
        ExactlyOne(("command", "code", "code_s3_uri")),
        RUNTIME_OF_LANGUAGE,
        *LANGUAGE_OF_CODE,
        TIMEOUT_LEAVES_RESERVE,
        DISTINCT_INPUT_PATHS,
    )

    command: Annotated[str | None, Text(), "A command for /bin/sh, run in the working directory."] = None
    code: SourceCode = None
    code_s3_uri: CodeS3UriField = None
    language: LanguageField = "python"
    runtime: RuntimeField = None
    interpreter: InterpreterField = None
    timeout_seconds: Annotated[
        int | None,
        Integer(*COMMAND_TIMEOUT_SECONDS, "seconds"),
        _PROGRAM_TIMEOUT_DESCRIPTION.format(or_call=""),
    ] = None
    session_timeout_seconds: Annotated[
        int | None,
        Integer(*SESSION_TIMEOUT_SECONDS, "seconds"),
        _TIMEOUT_DESCRIPTION.format(
            default=f"{DEFAULT_COMMAND_TIMEOUT_SECONDS} s, or the interpreter's maximum if that is less"
        ),
    ] = None
    inputs: InputsField = ()


_Task = Annotated[TaskHandle, Nested(TaskHandle), "The handle that `start_command` returned."]


@record(kw_only=True)
class PollCommand(Record):
    """Returns the state of a started command. When it has ended, returns its files and stops its session.

    The state of a running command has its last lines of output, at most 64 KiB.
    """

    RULES = (NO_FIGURES,)

    task: _Task
    outputs: OutputsField = DEFAULT_OUTPUTS
    fail_on_error: FailOnErrorField = False


@record(kw_only=True)
class StopCommand(Record):
    """Stops a started command, returns its output and the files that it has written, and stops its session."""

    RULES = (NO_FIGURES,)

    task: _Task
    outputs: OutputsField = DEFAULT_OUTPUTS


@record(kw_only=True)
class OpenSession(Record):
    """Opens a session for several programs, which share variables and files. The caller must close it."""

    RULES = (DISTINCT_INPUT_PATHS,)

    interpreter: InterpreterField = None
    session_timeout_seconds: SessionTimeoutField = None
    inputs: InputsField = ()


@record(kw_only=True)
class RunInSession(Record):
    """Runs a program or a command once in an open session."""

    RULES = (
        ExactlyOne(("code", "code_s3_uri", "command")),
        RUNTIME_OF_LANGUAGE,
        *LANGUAGE_OF_CODE,
        FIGURES_OF_PYTHON,
        RequiresValue("outputs.figures", (True,), "command", (None,)),
        RequiresValue("clear_context", (True,), "command", (None,)),
        DISTINCT_INPUT_PATHS,
    )

    session: _Session
    code: SourceCode = None
    code_s3_uri: CodeS3UriField = None
    command: Annotated[str | None, Text(), "A command for /bin/sh, run in the working directory."] = None
    language: LanguageField = "python"
    runtime: RuntimeField = None
    timeout_seconds: TimeoutField = None
    clear_context: Annotated[bool, Boolean(), "Whether to delete the variables of earlier programs first."] = False
    inputs: InputsField = ()
    outputs: OutputsField = DEFAULT_OUTPUTS
    fail_on_error: FailOnErrorField = False


@record(kw_only=True)
class CloseSession(Record):
    """Closes an open session. A session that has already ended is not an error."""

    session: _Session


@record(kw_only=True)
class CollectFiles(Record):
    """Returns files of an open session without running code."""

    session: _Session
    outputs: OutputsField = DEFAULT_OUTPUTS


@record(kw_only=True)
class StopSessions(Record):
    """Stops all sessions of the execution in `run`. Send it when the execution has failed, was stopped or timed out."""

    status: Annotated[
        str | None,
        Choice(("FAILED", "TIMED_OUT", "ABORTED")),
        "How the execution has ended. When it failed, no state is about to start a session, and the call takes less "
        "time.",
    ] = None


@record(kw_only=True)
class SweepSessions(Record):
    """Stops the sessions of all executions that have ended. Sessions that are younger than 16 minutes stay."""

    workflows: Annotated[
        tuple[str, ...],
        ListOf(Text(2048), MAX_WORKFLOWS),
        "ARNs of state machines. Sessions of other executions, and of callers outside of workflows, stay.",
    ]


StartRequest = RunCode | RunCommand | StartCommand | OpenSession
"""The requests that start a session."""
