"""Commands that run without a caller: how they are started, and how their output is read while they run."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from code_runner.agentcore.programs import Command
from code_runner.program_timeout import (
    GRACE_SECONDS,
    TIMED_OUT_EXIT_CODES,
    command_with_timeout,
)
from code_runner.sandbox_scripts.runner import MAX_ARGUMENT_BYTES, run_script, script_command
from sandpiper_contract.errors import RunError, ServiceFault
from sandpiper_contract.requests import COMMAND_RESERVE_SECONDS, SESSION_TIMEOUT_SECONDS, TIMEOUT_RESERVE_SECONDS
from sandpiper_contract.results import CommandState

if TYPE_CHECKING:
    from code_runner.agentcore.client import CodeInterpreterClient
    from code_runner.agentcore.responses import Task
    from sandpiper_contract.handles import TaskHandle

log = logging.getLogger(__name__)

LOG_BYTES = 16 * 1024 * 1024
"""Maximum size of a file with output. There are at most two for each stream, so at least the last 16 MiB are kept."""
RUNNING_OUTPUT_BYTES = 64 * 1024
"""Maximum size, as JSON, of the output of a running command in a result."""
STOPPED_OUTPUT_BYTES = 4 * 1024 * 1024
"""Maximum size, as JSON, of the output of a stopped command. It counts twice in a response of at most 24 MiB."""


def started_command_seconds(client: CodeInterpreterClient, requested: int | None) -> float:
    """Returns how long a started command may run, in seconds.

    Without a requested timeout, a twelfth of the session's lifetime, 20 to 300 s, is reserved for the polls that
    collect the files; with one, 20 s.

    Args:
        client: The client of the session.
        requested: The requested timeout in seconds, if any.
    """
    seconds_left = SESSION_TIMEOUT_SECONDS[1] if client.lifetime is None else max(client.lifetime.seconds_left, 0)
    reserve = min(max(seconds_left / 12, TIMEOUT_RESERVE_SECONDS), COMMAND_RESERVE_SECONDS, seconds_left / 2)
    if requested is None:
        return seconds_left - reserve
    return min(requested, max(seconds_left - TIMEOUT_RESERVE_SECONDS, seconds_left / 2))


def new_output_token() -> str:
    """Returns a token that identifies the output of a command."""
    return secrets.token_hex(16)


def output_folder(token: str) -> str:
    """Returns the folder in the session that contains the output, as `stdout` and `stderr`."""
    return f"/tmp/.sandpiper-{token}"  # noqa: S108 - in the sandbox, with a random name


def as_started_command(command: Command, token: str, seconds: float) -> Command:
    """Returns the command that runs a command with kept output and a timeout.

    A command that would then be too long for an argument has its timeout, but its output is not kept.
    """
    task = {
        "command": command.text,
        "folder": output_folder(token),
        "logBytes": LOG_BYTES,
        "seconds": seconds,
        "graceSeconds": GRACE_SECONDS,
    }
    text = script_command("task", task)
    return Command(text) if len(text) <= MAX_ARGUMENT_BYTES else command_with_timeout(command, seconds)


def read_output(client: CodeInterpreterClient, token: str, max_bytes: int) -> tuple[str | None, str | None]:
    """Returns the last stdout and stderr of a command. None for a stream that is not kept. Raises RunError.

    On a terminal, stdout includes stderr.
    """
    action = "reading the output of the command"
    output = run_script(client, action, "read_output", {"folder": output_folder(token), "maxBytes": max_bytes})
    match output:
        case [str() | None as stdout, str() | None as stderr]:
            return stdout, stderr
        case _:
            raise ServiceFault(f"{action}: the output is not two streams")


def running_state(client: CodeInterpreterClient, task: Task, handle: TaskHandle) -> CommandState:
    """Returns the state of a running command with its last output, or without it if it cannot be read."""
    stdout, stderr = _kept_output(client, handle, RUNNING_OUTPUT_BYTES)
    folder = output_folder(handle.output or "")
    return CommandState(
        task.status,
        ended=False,
        stdout=task.stdout or stdout or "",
        stderr=task.stderr or stderr or "",
        stdout_path=None if stdout is None else f"{folder}/stdout",
        stderr_path=None if stderr is None else f"{folder}/stderr",
    )


def with_stopped_output(client: CodeInterpreterClient, task: Task, handle: TaskHandle) -> Task:
    """Returns an ended command with its output, which the service does not return for one that was stopped."""
    if task.exit_code is not None or task.stdout or task.stderr:
        return task
    stdout, stderr = _kept_output(client, handle, STOPPED_OUTPUT_BYTES)
    return replace(task, stdout=stdout or "", stderr=stderr or "")


def has_timed_out(task: Task, handle: TaskHandle) -> bool:
    """Returns whether an ended command was ended at its timeout, and did not choose the same exit code itself."""
    if handle.timeout_seconds is None or task.seconds is None:
        return False
    return task.exit_code in TIMED_OUT_EXIT_CODES and task.seconds >= handle.timeout_seconds


def _kept_output(client: CodeInterpreterClient, handle: TaskHandle, max_bytes: int) -> tuple[str | None, str | None]:
    """Returns the output that the session keeps, or none if it keeps none or it cannot be read."""
    if handle.output is None:
        return None, None
    try:
        return read_output(client, handle.output, max_bytes)
    except RunError as error:
        log.warning("output not read: %s", error)
        return None, None
