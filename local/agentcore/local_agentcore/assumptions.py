"""What nobody has published of the service, each a guess with its reason: one table, and a file may say otherwise.

`local-agentcore guesses` prints it as a file to edit, `serve --guesses FILE` takes it, and `assumptions.md` in
the distribution's folder is the same table. Once somebody has seen the service do it, a guess becomes code and leaves
the table.
"""

from __future__ import annotations

import json
import string
import textwrap
import tomllib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args, get_type_hints

if TYPE_CHECKING:
    from dataclasses import Field
    from pathlib import Path

Default = TypeVar("Default")


class AssumptionsError(Exception):
    """A file of assumptions cannot be taken; the message says what is wrong and what is allowed."""


def _guess(default: Default, why: str) -> Default:
    return field(default=default, metadata={"why": why})


@dataclass(frozen=True)
class Assumptions:
    """One guess a field. A text may use the places in braces that its default has."""

    # Limits
    throttled: str = _guess("Rate exceeded.", "The words of ThrottlingException; these are AgentCore Memory's.")
    throttle_burst_seconds: float = _guess(
        1.0, "How many seconds' worth of calls are admitted at once; the quota only says how many a second."
    )
    sessions_exceeded: str = _guess(
        "maxCodeInterpreterSessions limit exceeded",
        "The words of ServiceQuotaExceededException at the quota of sessions, as somebody has quoted them.",
    )
    interpreters_exceeded: str = _guess(
        "The limit of {maximum} code interpreters is reached",
        "The words of ServiceQuotaExceededException at the quota of interpreters.",
    )
    tags_exceeded: str = _guess(
        "A resource has at most {maximum} tags", "TagResource over the model's 50: the words, and that it is a quota."
    )
    request_limit_counts_base64: bool = _guess(
        False, "Whether the 100 MB of a request are those of its body, or of what its base64 stands for (the model's)."
    )
    request_too_large: str = _guess(
        "The request is larger than the {megabytes} MB that are allowed",
        "The words, and that it is a ValidationException.",
    )
    event_over_limit: Literal["sent", "refused"] = _guess(
        "sent",
        "A reply over 24 MiB: sent all the same, so that botocore breaks as it was seen to, or a validationException "
        "within the stream.",
    )
    event_too_large: str = _guess(
        "The result is larger than the {mebibytes} MiB that are allowed", "The words of that exception."
    )
    # Resources
    create_status: Literal["READY", "CREATING"] = _guess(
        "READY", "What CreateCodeInterpreter answers; it is ready at once here, whatever it says."
    )
    managed_name: str = _guess(
        "aws.codeinterpreter.v1", "The name of AWS's own interpreter; its id does not fit the model's names."
    )
    name_taken: str = _guess(
        "A code interpreter with the name {name} already exists in this account", "The words of ConflictException."
    )
    role_refused: str = _guess(
        "CodeInterpreter role validation failed for '{role}'. Please verify that the role exists and its trust policy "
        "allows assumption by this service",
        "CreateCodeInterpreter with a role that is not there or does not trust the service, where there is an IAM to "
        "ask: a ValidationException that begins so (Terraform waits for it); the rest is CreateAgentRuntime's.",
    )
    interpreter_not_found: str = _guess(
        "Code interpreter {identifier} not found", "The words of ResourceNotFoundException."
    )
    interpreter_in_use: str = _guess(
        "Code interpreter {identifier} has {live} active session(s): stop them first",
        "The words of ConflictException on deleting an interpreter with live sessions.",
    )
    managed_not_deletable: str = _guess(
        "{identifier} is managed by AWS and cannot be deleted", "The words, and that it is a ValidationException."
    )
    vpc_mismatch: str = _guess(
        "vpcConfig is required for the network mode VPC, and allowed for no other",
        "The words, and that it is a ValidationException.",
    )
    default_page_size: int = _guess(100, "How many items a List operation returns that is not told; the model's most.")
    bad_next_token: str = _guess(
        "The next token is not one that this operation returned", "The words, and that it is a ValidationException."
    )
    client_token_seconds: float = _guess(86_400.0, "How long a client token is remembered; a day in other services.")
    token_mismatch: str = _guess(
        "The client token was used before with different parameters",
        "The words; the reason IdempotentParameterMismatchException is the model's.",
    )
    # Sessions
    session_not_found: str = _guess(
        "Code interpreter session {identifier} not found",
        "An id that the interpreter never had: the words, and that it is a ResourceNotFoundException.",
    )
    session_required: str = _guess(
        "A session is required: start one and name it in sessionId", "The model lets sessionId be left out of Invoke."
    )
    session_terminated: str = _guess(
        "Code interpreter session {identifier} was terminated on user request before the request could complete.",
        "A call in flight at stop; the end of these words is known, not their beginning.",
    )
    session_failed: str = _guess(
        "The sandbox of code interpreter session {identifier} has ended",
        "A session that died by itself: the words, and that it is an InternalServerException.",
    )
    # Tools
    runtime_mismatch: str = _guess(
        "{language} runs with {runtimes}, not with {runtime}",
        "A runtime of another language: the words, and that it is a ValidationException.",
    )
    task_not_started: str = _guess(
        "The command execution task cannot be started: {problem}",
        "No process could be made for it: the words, and that it is a result with isError.",
    )
    task_not_found: str = _guess(
        "Task not found: {task}", "An id that the session never had: the words, and that it is a result with isError."
    )
    argument_required: str = _guess(
        "The tool requires the argument '{name}'", "The model has every argument of every tool optional."
    )
    empty_output_has_block: bool = _guess(True, "Whether a run that prints nothing has one empty text block, or none.")
    image_shown_as: Literal["image", "nothing"] = _guess(
        "image",
        "An image that Python shows (plt.show(), display(), the last value): a block after the text, or nothing.",
    )
    table_shown_as: Literal["resource", "text", "nothing"] = _guess(
        "resource",
        "The HTML of what Python shows, a DataFrame, say, beside its plain text in stdout: a block of a resource or of "
        "text, or nothing.",
    )
    path_traversal: str = _guess(
        "Invalid path '{path}': path traversal is not allowed, paths are relative",
        'An absolute path or `..`; only its words "path traversal" are known.',
    )
    path_traversal_as: Literal["result", "exception"] = _guess(
        "result", "Whether that is a result with isError, or a ValidationException."
    )
    file_problem: str = _guess(
        "Error accessing '{path}': {problem}", "A file that is not there, is a folder, does not fit, …: a result."
    )


ALWAYS = (
    "Figures that are open when a cell ends are not shown unless the code has called plt.show(), which closes them.",
    "JavaScript and TypeScript run in a process a call: files stay, variables do not, and the exit code is its own.",
    "What a task has printed is told when it has ended, as executeCommand does; of a canceled one, never.",
    "A task that ends with another exit code than 0, or at its time limit, is `failed`, with isError.",
    "A client that hangs up ends nothing: its call goes on in the session until it is done.",
    "An operation answers with an interpreter's id, also when it was named by its ARN.",
    "A refused request counts against the rate as an accepted one does, unless it breaks the model.",
    "Sessions that ended stay in lists as TERMINATED, the latest 10,000; of all, the newest come first.",
    "A client token is answered as at first also when its session has ended, or its interpreter was deleted.",
    "A command at its time limit and a canceled task take along what their shell has started, after a grace of 2 s.",
    "The header content-type of a request is not looked at.",
    "writeFiles checks each path before it writes; on a full disk the files before the one that failed stay.",
)
"""Assumptions that cannot be configured."""


def load(path: Path) -> Assumptions:
    """Reads a TOML file (or JSON, if it is called so) of those assumptions that are to be otherwise.

    Raises:
        AssumptionsError: it cannot be read, or what it says is not a guess.
    """
    try:
        text = path.read_text()
        values: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise AssumptionsError(f"The assumptions in {path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise AssumptionsError(f"The assumptions in {path} are no table of names and values")
    return assumptions_from(cast("dict[str, Any]", values))


def assumptions_from(values: dict[str, Any]) -> Assumptions:
    """Returns the assumptions that differ from the defaults in these.

    Raises:
        AssumptionsError: there is no guess of that name, or it cannot have that value.
    """
    types, known = get_type_hints(Assumptions), {guess.name: guess for guess in fields(Assumptions)}
    for name, value in values.items():
        if name not in known:
            raise AssumptionsError(f"There is no guess called {name!r}; there are: {', '.join(known)}")
        problem = _problem(value, types[name], known[name].default)
        if problem is not None:
            raise AssumptionsError(f"The guess {name} is {value!r}; allowed: {problem}")
    return Assumptions(**values)


def as_toml() -> str:
    """Returns the table of the defaults, with the reasons as comments."""
    blocks: list[str] = []
    for guess in fields(Assumptions):
        reason = textwrap.fill(_why(guess), 118, initial_indent="# ", subsequent_indent="# ")
        # JSON's spelling of texts, numbers and truths is TOML's too.
        blocks.append(f"{reason}\n{guess.name} = {json.dumps(guess.default, ensure_ascii=False)}\n")
    return "\n".join(blocks)


def _why(guess: Field[Any]) -> str:
    return str(guess.metadata["why"])


def _problem(value: object, expected: Any, default: Any) -> str | None:
    """Returns what is allowed, if this is not."""
    if choices := get_args(expected):
        return None if value in choices else " | ".join(choices)
    if expected is bool:
        return None if isinstance(value, bool) else "true | false"
    if expected in (int, float):
        kinds = (int,) if expected is int else (int, float)
        valid = isinstance(value, kinds) and not isinstance(value, bool) and 0 < value <= 1e9
        return None if valid else f"a {'whole ' if expected is int else ''}number over 0"
    places = _places(str(default)) or set[str]()
    allowed = f"a text with the places {', '.join(sorted(places))} in braces" if places else "a text without braces"
    found = _places(value) if isinstance(value, str) and value else None
    return None if found is not None and found <= places else allowed


def _places(text: str) -> set[str] | None:
    """Returns the names in braces, with what is asked of their form; None if the braces do not match."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        return None
    if any(conversion for _, _, _, conversion in parts):
        return None
    return {name if not form else f"{name}:{form}" for _, name, form, _ in parts if name is not None}
