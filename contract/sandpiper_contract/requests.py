"""What each operation is asked for."""

from __future__ import annotations

from typing import Annotated, Literal

from sandpiper_contract.field_types import Boolean, Choice, DependentChoice, Integer, ListOf, S3Object, S3Uri, Text
from sandpiper_contract.files import DEFAULT_OUTPUTS, DISTINCT_INPUT_PATHS, MAX_INPUTS, InputFile, Outputs
from sandpiper_contract.handles import SessionHandle, TaskHandle
from sandpiper_contract.records import Nested, Record, record
from sandpiper_contract.rules import DependentValues, ExactlyOne, ForbiddenValue, RequiresValue

Language = Literal["python", "javascript", "typescript"]
Runtime = Literal["nodejs", "deno", "python"]

LANGUAGES: tuple[Language, ...] = ("python", "javascript", "typescript")
RUNTIMES: dict[Language, tuple[Runtime, ...]] = {
    "python": ("python",),
    "javascript": ("deno", "nodejs"),
    "typescript": ("deno", "nodejs"),
}
"""What may run a language, the service's default first."""
_ALL_RUNTIMES: tuple[Runtime, ...] = ("deno", "nodejs", "python")
SESSION_TIMEOUT_SECONDS = (60, 28_800)
"""The workflow connector's limits; the service itself takes 1 to 28,800."""
DEFAULT_SESSION_TIMEOUT_SECONDS = 300
DEFAULT_COMMAND_TIMEOUT_SECONDS = 3_600
"""For commands that run on without a caller, whose session is what bounds them."""

_Code = Annotated[str | None, Text(), "The program."]
_CodeS3Uri = Annotated[S3Object | None, S3Uri(), "The object that holds the program, in place of `code`."]
_Language = Annotated[Language, Choice(LANGUAGES), "What the program is written in."]
_Runtime = Annotated[
    Runtime | None,
    DependentChoice(_ALL_RUNTIMES),
    "What runs JavaScript and TypeScript: deno unless said. Python is run by python alone.",
]
_Interpreter = Annotated[str | None, Text(255), "A key of the tenant's interpreters; its first unless said."]
_ABOUT_TIMEOUT = "How long the session lives at most, from its start, whatever happens in it. Unless said, {unless}."
_SessionTimeout = Annotated[
    int | None,
    Integer(*SESSION_TIMEOUT_SECONDS, "seconds"),
    _ABOUT_TIMEOUT.format(unless=f"the interpreter's own, which is {DEFAULT_SESSION_TIMEOUT_SECONDS} s unless set"),
]
_Inputs = Annotated[
    tuple[InputFile, ...], ListOf(Nested(InputFile), MAX_INPUTS), "Files beside the program before it runs."
]
_Outputs = Annotated[Outputs, Nested(Outputs), "Which files come back."]
_FailOnError = Annotated[bool, Boolean(), "End with the error CodeFailed when the exit code is not 0."]
_RUNTIME = DependentValues("runtime", {**RUNTIMES}, "language")
_LANGUAGE_OF_CODE = (
    RequiresValue("language", ("javascript", "typescript"), "command", (None,)),
    RequiresValue("runtime", _ALL_RUNTIMES, "command", (None,)),
)
_FIGURES = RequiresValue("outputs.figures", (True,), "language", ("python",))
_NO_FIGURES = ForbiddenValue(
    "outputs.figures", True, "figures are what a program leaves open in its session; a command saves its"
)
_Session = Annotated[SessionHandle, Nested(SessionHandle), "What open_session or a call in the session returned."]


@record(kw_only=True)
class RunCode(Record):
    """A program to run once in a session of its own."""

    RULES = (ExactlyOne(("code", "code_s3_uri")), _RUNTIME, _FIGURES, DISTINCT_INPUT_PATHS)

    code: _Code = None
    code_s3_uri: _CodeS3Uri = None
    language: _Language = "python"
    runtime: _Runtime = None
    interpreter: _Interpreter = None
    session_timeout_seconds: _SessionTimeout = None
    inputs: _Inputs = ()
    outputs: _Outputs = DEFAULT_OUTPUTS
    fail_on_error: _FailOnError = False


@record(kw_only=True)
class RunCommand(Record):
    """A shell command to run once in a session of its own."""

    RULES = (_NO_FIGURES, DISTINCT_INPUT_PATHS)

    command: Annotated[str, Text(), "Run by /bin/sh in the working directory."]
    interpreter: _Interpreter = None
    session_timeout_seconds: _SessionTimeout = None
    inputs: _Inputs = ()
    outputs: _Outputs = DEFAULT_OUTPUTS
    fail_on_error: _FailOnError = False


@record(kw_only=True)
class StartCommand(Record):
    """A command, or a program, that runs on without a caller, for up to eight hours, in a session of its own.

    A program is written to a file and run from there, since only commands may pass 15 minutes.
    """

    RULES = (ExactlyOne(("command", "code", "code_s3_uri")), _RUNTIME, *_LANGUAGE_OF_CODE, DISTINCT_INPUT_PATHS)

    command: Annotated[str | None, Text(), "Run by /bin/sh in the working directory."] = None
    code: _Code = None
    code_s3_uri: _CodeS3Uri = None
    language: _Language = "python"
    runtime: _Runtime = None
    interpreter: _Interpreter = None
    session_timeout_seconds: Annotated[
        int | None,
        Integer(*SESSION_TIMEOUT_SECONDS, "seconds"),
        _ABOUT_TIMEOUT.format(
            unless=f"{DEFAULT_COMMAND_TIMEOUT_SECONDS} s, or the interpreter's longest if that is less"
        ),
    ] = None
    inputs: _Inputs = ()


_Task = Annotated[TaskHandle, Nested(TaskHandle), "What start_command returned."]


@record(kw_only=True)
class PollCommand(Record):
    """Asks how a started command is. Once it has ended, brings its files back and ends its session."""

    RULES = (_NO_FIGURES,)

    task: _Task
    outputs: _Outputs = DEFAULT_OUTPUTS
    fail_on_error: _FailOnError = False


@record(kw_only=True)
class StopCommand(Record):
    """Ends a started command, brings back what it has left so far and ends its session."""

    RULES = (_NO_FIGURES,)

    task: _Task
    outputs: _Outputs = DEFAULT_OUTPUTS


@record(kw_only=True)
class OpenSession(Record):
    """A session for several programs, which share its variables and files. It is the caller's to close."""

    RULES = (DISTINCT_INPUT_PATHS,)

    interpreter: _Interpreter = None
    session_timeout_seconds: _SessionTimeout = None
    inputs: _Inputs = ()


@record(kw_only=True)
class RunInSession(Record):
    """A program or a command to run once in an open session."""

    RULES = (
        ExactlyOne(("code", "code_s3_uri", "command")),
        _RUNTIME,
        *_LANGUAGE_OF_CODE,
        _FIGURES,
        RequiresValue("outputs.figures", (True,), "command", (None,)),
        RequiresValue("clear_context", (True,), "command", (None,)),
        DISTINCT_INPUT_PATHS,
    )

    session: _Session
    code: _Code = None
    code_s3_uri: _CodeS3Uri = None
    command: Annotated[str | None, Text(), "Run by /bin/sh in the working directory."] = None
    language: _Language = "python"
    runtime: _Runtime = None
    clear_context: Annotated[bool, Boolean(), "Forget the variables of earlier programs first."] = False
    inputs: _Inputs = ()
    outputs: _Outputs = DEFAULT_OUTPUTS
    fail_on_error: _FailOnError = False


@record(kw_only=True)
class CloseSession(Record):
    """Ends an open session. One that has ended is no error."""

    session: _Session


@record(kw_only=True)
class CollectFiles(Record):
    """Brings files of an open session back without running anything."""

    session: _Session
    outputs: _Outputs = DEFAULT_OUTPUTS


StartRequest = RunCode | RunCommand | StartCommand | OpenSession
"""Requests that start a session."""
