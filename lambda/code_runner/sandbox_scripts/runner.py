"""Runs the product's own programs inside a sandbox. The answers are the sandbox's: who reads one believes nothing."""

from __future__ import annotations

import base64
import json
import shlex
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.client import TOOL_SECONDS
from sandpiper_contract.errors import ServiceFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.agentcore.client import ToolCalls

MARK = "sandpiper-answer:"


@cache
def program_text(program: str) -> str:
    """The text of a program of this folder, by its name."""
    return (Path(__file__).parent / f"{program}.py").read_text()


def own_command(program: str, task: Mapping[str, Any]) -> list[str]:
    """The command, by words, that runs a program of this folder with a task, and whose output `answer` reads.

    `python3 -I` keeps what the user's code left from being imported.
    """
    packed = base64.b85encode(zlib.compress(json.dumps({**task, "mark": MARK}).encode())).decode()
    return ["python3", "-I", "-c", program_text(program), packed]


def answer(doing: str, printed: str) -> Any:
    """The JSON that the program printed. Raises ServiceFault when there is none."""
    try:
        return json.loads(printed.rpartition(MARK)[2])
    except (ValueError, RecursionError):
        raise ServiceFault(f"{doing}: the sandbox gave no answer") from None


def run_inside(
    session: ToolCalls, doing: str, program: str, task: Mapping[str, Any], seconds: float = TOOL_SECONDS
) -> Any:
    """Runs a program that does no harm when it runs twice. Raises RunError."""
    outcome = session.execute_own_command(shlex.join(own_command(program, task)), seconds)
    if outcome.exit_code:
        raise ServiceFault(f"{doing}: exit code {outcome.exit_code}")
    return answer(doing, outcome.stdout)
