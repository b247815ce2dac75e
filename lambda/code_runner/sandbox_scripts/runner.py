"""Starts this package's scripts inside a sandbox and parses their output, which code in the sandbox could forge."""

from __future__ import annotations

import base64
import json
import secrets
import shlex
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.tool_invoker import TOOL_TIMEOUT_SECONDS
from sandpiper_contract.errors import ServiceFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.agentcore.client import CodeInterpreterClient

MARKER = "sandpiper-answer"
"""Precedes the JSON of a script in its standard output, followed by a random number that no file name can contain."""

MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux limits one argument of a program, here the shell's, to 128 KiB with its final null byte (MAX_ARG_STRLEN)."""
MAX_COMMAND_BYTES = 120 * 1024
"""Maximum size of a command whose data are grouped to fit. The rest is for values that are known only when it is sent,
such as the marker."""


@cache
def script_text(script: str) -> str:
    """Returns the source of a script in this folder, by its name."""
    return (Path(__file__).parent / f"{script}.py").read_text()


def script_command(script: str, task: Mapping[str, Any], marker: str = MARKER) -> str:
    """Returns the command that runs a script with a task, whose output `parse_output` parses.

    `python3 -I -S` prevents imports of modules that the user's code left in the working directory or in packages.
    """
    packed = base64.b85encode(zlib.compress(json.dumps({**task, "marker": marker}).encode(), 9)).decode()
    return shlex.join(["python3", "-I", "-S", "-c", script_text(script), packed])


def parse_output(action: str, stdout: str, marker: str = MARKER) -> Any:
    """Returns the JSON that a script printed. Raises ServiceFault if there is none."""
    try:
        return json.loads(stdout.rpartition(marker)[2])
    except (ValueError, RecursionError):
        raise ServiceFault(f"{action}: the script printed no JSON") from None


def run_script(
    client: CodeInterpreterClient,
    action: str,
    script: str,
    task: Mapping[str, Any],
    seconds: float = TOOL_TIMEOUT_SECONDS,
) -> Any:
    """Runs a script that is safe to repeat, and returns the JSON that it printed.

    Args:
        client: The client of the session.
        action: What the script does, for error messages.
        script: Name of the script.
        task: Arguments of the script.
        seconds: Timeout of the call in seconds.

    Raises:
        RunError: The call failed, or the script failed or printed no JSON.
    """
    marker = f"{MARKER}-{secrets.token_hex(8)}:"
    outcome = client.execute_idempotent_command(script_command(script, task, marker), seconds)
    if outcome.exit_code:
        raise ServiceFault(f"{action}: exit code {outcome.exit_code}")
    return parse_output(action, outcome.stdout, marker)
