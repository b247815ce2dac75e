"""The inputs and outputs of the workflows `run-command` and `run-session`. `run-code` has those of `run_code`.

Step Functions does not evaluate JSON Schema, so the first state of a workflow sends its input to the operation
`check_request`, which validates it as these records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sandpiper_contract.field_types import AnyString, Boolean, Choice, Integer, JsonValue, ListOf, Text
from sandpiper_contract.files import DEFAULT_OUTPUTS, DISTINCT_INPUT_PATHS
from sandpiper_contract.records import Nested, Record, record
from sandpiper_contract.requests import (
    FIGURES_OF_PYTHON,
    LANGUAGE_OF_CODE,
    NO_FIGURES,
    RUNTIME_OF_LANGUAGE,
    CodeS3UriField,
    FailOnErrorField,
    InputsField,
    InterpreterField,
    LanguageField,
    OpenSession,
    OutputsField,
    RunCode,
    RuntimeField,
    SessionTimeoutField,
    SourceCode,
    StartCommand,
    TimeoutField,
)
from sandpiper_contract.results import CommandState, RunResult
from sandpiper_contract.rules import AtMostOne, RequiresOneOf, RequiresValue

TASK_RETRY_SECONDS = (2, 60)
"""Minimum and maximum of the time between two attempts of a task. It doubles with each, with full jitter."""
MAX_BATCH_SECONDS = 14 * 86_400
"""Step Functions redrives executions for 14 days, and records are kept at least as long."""
MAX_STEPS = 50
"""Their results together must fit into a state of 256 KiB, and each has at least 4 KiB."""
APPROVAL_SECONDS = (60, 30 * 86_400)
"""Minimum and maximum. Step Functions allows a year for an execution."""
DEFAULT_APPROVAL_SECONDS = 86_400


@record(kw_only=True)
class Approval(Record):
    """A question to a person after a step. The workflow waits for `sandpiper runs approve` or `reject`."""

    message: Annotated[str, Text(1_000), "What to approve. It is sent to the topic for approvals."]
    timeout_seconds: Annotated[
        int,
        Integer(*APPROVAL_SECONDS, "seconds"),
        "How long to wait. Without an answer, the workflow fails with `ApprovalTimedOut`.",
    ] = DEFAULT_APPROVAL_SECONDS


@record(kw_only=True)
class Step(Record):
    """A program or a command of a session. Without either, the step writes its inputs and returns files."""

    RULES = (
        AtMostOne(("code", "code_s3_uri", "command")),
        RUNTIME_OF_LANGUAGE,
        *LANGUAGE_OF_CODE,
        FIGURES_OF_PYTHON,
        RequiresOneOf("outputs.figures", True, ("code", "code_s3_uri")),
        RequiresValue("clear_context", (True,), "command", (None,)),
        DISTINCT_INPUT_PATHS,
    )

    code: SourceCode = None
    code_s3_uri: CodeS3UriField = None
    command: Annotated[str | None, Text(), "A command for /bin/sh, run in the working directory."] = None
    language: LanguageField = "python"
    runtime: RuntimeField = None
    timeout_seconds: TimeoutField = None
    clear_context: Annotated[bool, Boolean(), "Whether to delete the variables of earlier programs first."] = False
    inputs: InputsField = ()
    outputs: OutputsField = DEFAULT_OUTPUTS
    continue_on_error: Annotated[
        bool, Boolean(), "Whether the next steps run if the exit code is not 0 or the step has no result."
    ] = False
    approval: Annotated[
        Approval | None, Nested(Approval), "Ask for approval after the step, before the next one runs."
    ] = None


@record(kw_only=True)
class SessionRequest(Record):
    """The input of `run-session`: steps that run one after another in one session."""

    steps: Annotated[tuple[Step, ...], ListOf(Nested(Step), MAX_STEPS, min_items=1), "The steps, in their order."]
    interpreter: InterpreterField = None
    session_timeout_seconds: SessionTimeoutField = None

    @property
    def opening(self) -> OpenSession:
        """The request that opens the session."""
        return OpenSession(interpreter=self.interpreter, session_timeout_seconds=self.session_timeout_seconds)


@record
class Answer(Record):
    """The answer to an approval."""

    by: Annotated[str, AnyString(), "Who approved."]
    at: Annotated[str, AnyString(), "When, as an ISO 8601 time in UTC."]


@record(kw_only=True)
class StepResult(Record):
    """The result of a step, or its error if it has no result."""

    index: Annotated[int, Integer(0, MAX_STEPS, "steps"), "The number of the step, from 0."]
    result: Annotated[RunResult | None, Nested(RunResult), "The result of the program."] = None
    error: Annotated[str | None, AnyString(), "The name of the error."] = None
    cause: Annotated[str | None, AnyString(), "The message of the error, at most 1,000 characters."] = None
    state_lost: Annotated[
        bool,
        Boolean(),
        "Whether the step ran in a new session, without the variables and files of the steps before it, because their "
        "session had ended.",
    ] = False
    approval: Annotated[Answer | None, Nested(Answer), "Who approved the step, and when."] = None


@record
class SessionResult(Record):
    """The output of `run-session`."""

    steps: Annotated[
        tuple[StepResult, ...], ListOf(Nested(StepResult), MAX_STEPS), "The results, in the order of the steps."
    ]


@record(kw_only=True)
class CommandRequest(StartCommand):
    """The input of `run-command`: a command or a program of up to eight hours, and which files to return."""

    RULES = (*StartCommand.RULES, NO_FIGURES)

    outputs: OutputsField = DEFAULT_OUTPUTS
    fail_on_error: FailOnErrorField = False


@dataclass(frozen=True)
class Workflow:
    """A workflow: the types of its input and its output."""

    request: type[Record]
    result: type[Record]


WORKFLOWS: dict[str, Workflow] = {
    "run-code": Workflow(RunCode, RunResult),
    "run-command": Workflow(CommandRequest, CommandState),
    "run-session": Workflow(SessionRequest, SessionResult),
}
"""The workflows by name."""

RUN_STEP_STATE = "Run step"
RECORD_ERROR_STATE = "Record error"
"""The states of `run-session` in which a step ends: with a result as the state's output, or with an error."""
AWAIT_APPROVAL_STATE = "Wait for approval"
"""The state of `run-session` whose task token answers an approval."""


@record(kw_only=True)
class CheckRequest(Record):
    """Validates the input of a workflow. It runs no code and starts no session."""

    workflow: Annotated[str, Choice(tuple(WORKFLOWS)), "The workflow."]
    request: Annotated[object, JsonValue(), "The input."]


@record
class CheckedRequest(Record):
    """A valid input of a workflow."""

    request: Annotated[object, JsonValue(), "The input with the defaults of all fields."]


@record(kw_only=True)
class AwaitApproval(Record):
    """Accepts the task token of a state that waits for an approval, and does nothing else.

    The history of the execution contains the token, which `sandpiper runs approve` reads there.
    """

    step: Annotated[int, Integer(0, MAX_STEPS, "steps"), "The number of the step, from 0."]
    message: Annotated[str, Text(1_000), "What to approve."]
    token: Annotated[str, Text(2_048), "The task token, which is as good as a permission to answer. Not logged."]


@record
class AwaitedApproval(Record):
    """The token was accepted. The answer is the output of the state."""
