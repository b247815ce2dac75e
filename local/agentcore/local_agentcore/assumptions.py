"""Assumptions about unpublished behavior of the service, each with its reason. A file can override them.

`local-agentcore guesses` prints the table as a file to edit, `serve --guesses FILE` loads it, and `assumptions.md` in
the distribution's folder documents it. Once the service's behavior is known, it is implemented
and the assumption is removed.
"""

from __future__ import annotations

import json
import string
import textwrap
import tomllib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args, get_type_hints

from .identifiers import MANAGED_INTERPRETER

if TYPE_CHECKING:
    from dataclasses import Field
    from pathlib import Path

Default = TypeVar("Default")


class AssumptionsError(Exception):
    """A file of assumptions is invalid. The message states the problem and the allowed values."""


def _assumption(default: Default, reason: str) -> Default:
    return field(default=default, metadata={"reason": reason})


@dataclass(frozen=True)
class Assumptions:
    """The table, one field per assumption. A message can use the placeholders in braces of its default.

    Example:
        `Assumptions(create_status="CREATING")`
    """

    # Limits
    throttled: str = _assumption("Rate exceeded.", "The message of ThrottlingException; this is AgentCore Memory's.")
    throttle_burst_seconds: float = _assumption(
        1.0, "Burst size, as seconds of the call rate; the published quota states only calls per second."
    )
    sessions_exceeded: str = _assumption(
        "maxCodeInterpreterSessions limit exceeded",
        "The message of ServiceQuotaExceededException for sessions, as quoted in a public report.",
    )
    interpreters_exceeded: str = _assumption(
        "The limit of {maximum} code interpreters is reached",
        "The message of ServiceQuotaExceededException for interpreters.",
    )
    tags_exceeded: str = _assumption(
        "A resource has at most {maximum} tags",
        "TagResource with more than the model's 50 tags: the message, and that the error is a quota error.",
    )
    request_limit_counts_base64: bool = _assumption(
        False,
        "Whether the 100 MB limit of a request applies to the body, or to the data that its base64 decodes to.",
    )
    request_too_large: str = _assumption(
        "The request is larger than the {megabytes} MB that are allowed",
        "The message, and that the error is a ValidationException.",
    )
    event_over_limit: Literal["sent", "refused"] = _assumption(
        "sent",
        "A response over 24 MiB: sent, so that botocore fails as observed, or a validationException within the stream.",
    )
    event_too_large: str = _assumption(
        "The result is larger than the {mebibytes} MiB that are allowed", "The message of that exception."
    )
    # Telemetry
    zero_counts: bool = _assumption(
        False,
        "Whether each call also publishes 0 for Throttles, SystemErrors and UserErrors that it does not have.",
    )
    # Resources
    create_status: Literal["READY", "CREATING"] = _assumption(
        "READY", "The status in CreateCodeInterpreter's response; the emulated interpreter is ready immediately."
    )
    managed_name: str = _assumption(
        MANAGED_INTERPRETER, "The name of the managed interpreter; its id does not match the model's pattern for names."
    )
    name_taken: str = _assumption(
        "A code interpreter with the name {name} already exists in this account", "The message of ConflictException."
    )
    role_refused: str = _assumption(
        "CodeInterpreter role validation failed for '{role}'. Please verify that the role exists and its trust policy "
        "allows assumption by this service",
        "CreateCodeInterpreter with a role that does not exist or does not trust the service, if an authorizer is "
        "configured: a ValidationException that begins like this (Terraform waits for it); the rest is that of "
        "CreateAgentRuntime.",
    )
    interpreter_not_found: str = _assumption(
        "Code interpreter {identifier} not found", "The message of ResourceNotFoundException."
    )
    interpreter_in_use: str = _assumption(
        "Code interpreter {identifier} has {live} active session(s): stop them first",
        "The message of ConflictException for deleting an interpreter with live sessions.",
    )
    managed_not_deletable: str = _assumption(
        "{identifier} is managed by AWS and cannot be deleted",
        "The message, and that the error is a ValidationException.",
    )
    vpc_mismatch: str = _assumption(
        "vpcConfig is required for the network mode VPC, and allowed for no other",
        "The message, and that the error is a ValidationException.",
    )
    default_page_size: int = _assumption(
        100, "The page size of a List operation without maxResults; this is the model's maximum."
    )
    bad_next_token: str = _assumption(
        "The next token is not one that this operation returned",
        "The message, and that the error is a ValidationException.",
    )
    client_token_seconds: float = _assumption(
        86_400.0, "Seconds for which a client token is remembered; other services use a day."
    )
    token_mismatch: str = _assumption(
        "The client token was used before with different parameters",
        "The message; the reason IdempotentParameterMismatchException is the model's.",
    )
    # Sessions
    session_not_found: str = _assumption(
        "Code interpreter session {identifier} not found",
        "An unknown session id: the message, and that the error is a ResourceNotFoundException.",
    )
    session_required: str = _assumption(
        "A session is required: start one and name it in sessionId",
        "The message for InvokeCodeInterpreter without sessionId, which the model allows.",
    )
    session_terminated: str = _assumption(
        "Code interpreter session {identifier} was terminated on user request before the request could complete.",
        "The message of a call during which its session is stopped; only the end of it is published.",
    )
    session_failed: str = _assumption(
        "The sandbox of code interpreter session {identifier} has ended",
        "A session whose sandbox failed: the message, and that the error is an InternalServerException.",
    )
    # Tools
    runtime_mismatch: str = _assumption(
        "{language} runs with {runtimes}, not with {runtime}",
        "A runtime of another language: the message, and that the error is a ValidationException.",
    )
    task_not_started: str = _assumption(
        "The command execution task cannot be started: {problem}",
        "A task whose process cannot be started: the message, and that the response is a result with isError.",
    )
    task_not_found: str = _assumption(
        "Task not found: {task}", "An unknown task id: the message, and that the response is a result with isError."
    )
    argument_required: str = _assumption(
        "The tool requires the argument '{name}'",
        "The message for a missing argument; the model defines every argument of every tool as optional.",
    )
    empty_output_has_block: bool = _assumption(True, "Whether a run without output has one empty text block, or none.")
    image_shown_as: Literal["image", "nothing"] = _assumption(
        "image",
        "An image that Python displays (plt.show(), display(), the last value): a block after the text, or nothing.",
    )
    table_shown_as: Literal["resource", "text", "nothing"] = _assumption(
        "resource",
        "The HTML of a value that Python displays, such as a DataFrame, in addition to its text in stdout: a resource "
        "block, a text block, or nothing.",
    )
    path_traversal: str = _assumption(
        "Invalid path '{path}': path traversal is not allowed, paths are relative",
        'The message for an absolute path or `..`; only its words "path traversal" are published.',
    )
    path_traversal_as: Literal["result", "exception"] = _assumption(
        "result", "Whether that response is a result with isError, or a ValidationException."
    )
    file_problem: str = _assumption(
        "Error accessing '{path}': {problem}",
        "The message for a file that does not exist, is a folder, or does not fit; the result has isError.",
    )


FIXED = (
    "An entry of USAGE_LOGS and APPLICATION_LOGS is one flat object with the documented fields. CPU time and memory "
    "are those since the entry before.",
    "A span has the structure of OpenTelemetry in the log group aws/spans, with the documented attributes.",
    "Duration is in milliseconds. A call that IAM denies has no metrics, and no span.",
    "A GB-hour has 2^30 bytes, and the memory of a session contains its files.",
    "Figures that are open when a cell ends are not displayed unless the code called plt.show(), which closes them.",
    "JavaScript and TypeScript run in one process per call: files persist, variables do not, and the exit code is the "
    "process's.",
    "getTask returns a task's output after the task has ended, as executeCommand does; of a canceled task, never.",
    "A task that ends with a nonzero exit code, or at its time limit, is `failed`, with isError.",
    "If a client disconnects, its call continues in the session until it ends.",
    "The response of an operation contains an interpreter's id, also if the request contains its ARN.",
    "A rejected request counts against the call rate like an accepted one, unless it violates the model.",
    "Ended sessions stay in lists as TERMINATED, the latest 10,000; lists begin with the newest session.",
    "A client token gets the first response again, also after its session has ended or its interpreter was deleted.",
    "A command at its time limit and a canceled task end with all processes that their shell started, after 2 s.",
    "A cell, a command and a task have the same environment variables, limits and Python flags. A cell has one "
    "argument, its name, as a script without arguments has.",
    "Cells run outside an event loop, so that asyncio.run() and run_until_complete() work, as in a script. Top-level "
    "await also works. In Jupyter, a loop runs during a cell, and both functions fail.",
    "/proc is read-only, unlike that of a usual machine.",
    "Python writes no bytecode files, so that no `__pycache__` appears and a rewritten module is imported again.",
    "Calls of a session run at the same time, commands as the user of the Python kernel. So a command can interrupt "
    "code: the kernel's name or command line contains ipykernel.",
    "Code that gets SIGINT returns its output so far and the traceback of KeyboardInterrupt; the kernel keeps its "
    "variables. After SIGKILL, the call returns the output so far and exit code 1.",
    "/bin/sh is bash, and timeout(1) is installed.",
    "Code in the mode SANDBOX reaches S3 with presigned URLs, also without an execution role: PUT and GET.",
    "S3 applies If-None-Match, a signed length and a signed SHA-256 to a presigned PUT.",
    "The request header content-type has no effect.",
    "writeFiles checks all paths before it writes; on a full disk the files before the failing one remain.",
)
"""Assumptions that cannot be configured."""


def load(path: Path) -> Assumptions:
    """Loads overrides from a TOML file, or from a JSON file if its name ends in `.json`.

    Example:
        A file with the line `create_status = "CREATING"` overrides one assumption.

    Raises:
        AssumptionsError: The file cannot be read, or a name or value is invalid.
    """
    try:
        text = path.read_text()
        values: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise AssumptionsError(f"The assumptions in {path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise AssumptionsError(f"The assumptions in {path} are not a table of names and values")
    return with_overrides(cast("dict[str, Any]", values))


def with_overrides(values: dict[str, Any]) -> Assumptions:
    """Returns the defaults with these overrides.

    Raises:
        AssumptionsError: A name or value is invalid.
    """
    types, known = get_type_hints(Assumptions), {assumption.name: assumption for assumption in fields(Assumptions)}
    for name, value in values.items():
        if name not in known:
            raise AssumptionsError(f"The assumption {name!r} is unknown; allowed: {', '.join(known)}")
        allowed = _violated(value, types[name], known[name].default)
        if allowed is not None:
            raise AssumptionsError(f"The assumption {name} is {value!r}; allowed: {allowed}")
    return Assumptions(**values)


def as_toml() -> str:
    """Returns the defaults as TOML, with the reasons as comments."""
    blocks: list[str] = []
    for assumption in fields(Assumptions):
        reason = textwrap.fill(_reason(assumption), 98, initial_indent="# ", subsequent_indent="# ")
        # JSON's notation of strings, numbers and booleans is also TOML's.
        blocks.append(f"{reason}\n{assumption.name} = {json.dumps(assumption.default, ensure_ascii=False)}\n")
    return "\n".join(blocks)


def _reason(assumption: Field[Any]) -> str:
    return str(assumption.metadata["reason"])


def _violated(value: object, expected: Any, default: Any) -> str | None:
    """Returns the allowed values if a value is invalid, else None."""
    if choices := get_args(expected):
        return None if value in choices else " | ".join(choices)
    if expected is bool:
        return None if isinstance(value, bool) else "true | false"
    if expected in (int, float):
        types = (int,) if expected is int else (int, float)
        valid = isinstance(value, types) and not isinstance(value, bool) and 0 < value <= 1e9
        return None if valid else f"{'an integer' if expected is int else 'a number'} greater than 0"
    known = _placeholders(str(default)) or set[str]()
    allowed = (
        f"a string with the placeholders {', '.join(sorted(known))} in braces" if known else "a string without braces"
    )
    used = _placeholders(value) if isinstance(value, str) and value else None
    return None if used is not None and used <= known else allowed


def _placeholders(text: str) -> set[str] | None:
    """Returns the names in braces with their format specifications, or None if the braces are invalid."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        return None
    if any(conversion for _, _, _, conversion in parts):
        return None
    return {name if not form else f"{name}:{form}" for _, name, form, _ in parts if name is not None}
