"""The first command of each runbook works in the account of the deployed product."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest

from tests.support.cli import sandpiper
from tests.support.project import PROJECT
from tests.support.target import ENVIRONMENT, ON_AWS, TENANT

if TYPE_CHECKING:
    from sandpiper.deployment import Deployment

RUNBOOKS = {path.stem: path.read_text() for path in sorted((PROJECT / "docs" / "runbooks").glob("*.md"))}
AWS_CLI = PROJECT / "local" / "runtimes" / "sandbox" / ".venv" / "bin" / "python"
"""A Python with the AWS CLI of the sandbox."""
RUN_ALL = """
import json, sys
from awscli.clidriver import create_clidriver
for command in json.load(sys.stdin):
    print(json.dumps([command, create_clidriver().main(command)]), file=sys.stderr)
"""
"""Runs commands of the AWS CLI in one process, because its imports take longer than a command."""
TIMEOUT_SECONDS = 120
NOT_EMBEDDED = ("service-quotas",)
"""Services that the embedded AWS lacks. Their commands are only parsed."""
SUCCESS, SERVICE_ERROR = 0, 255
"""Exit codes. 252 is an invalid command.

https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html
"""


def first_command(runbook: str) -> list[str]:
    """Returns the words of the first command in a block of shell code."""
    block = re.search(r"```sh\n(.+?)\n```", RUNBOOKS[runbook], re.DOTALL)
    assert block is not None, f"{runbook} has no command"
    first, *others = block[1].replace("\\\n", " ").splitlines()
    while first.count("'") % 2:  # a quoted argument can have several lines
        first += f"\n{others.pop(0)}"
    return shlex.split(first)


@pytest.fixture(scope="module")
def values(deployed: Deployment) -> dict[str, str]:
    """Returns the values of the placeholders that the commands use."""
    stack = f"sandpiper-{ENVIRONMENT}-{TENANT}"
    functions = cast("Any", boto3).client("logs").describe_log_groups(logGroupNamePrefix=stack)["logGroups"]
    return {
        "ENV": ENVIRONMENT,
        "TENANT": TENANT,
        "ARN": deployed.run_code_arn,
        "GROUP": next(each["logGroupName"] for each in functions if "SessionFunction" in each["logGroupName"]),
    }


@pytest.fixture(scope="module")
def aws_exit_codes(values: dict[str, str]) -> tuple[dict[tuple[str, ...], int], str]:
    """Runs the first commands that are commands of the AWS CLI. Returns the exit codes, and all messages."""
    commands = {tuple(filled(name, values)) for name in RUNBOOKS}
    ran = subprocess.run(
        [AWS_CLI, "-c", RUN_ALL],
        input=json.dumps([command[1:] for command in commands if command[0] == "aws"]),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    results = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("[[")]
    return {tuple(command): code for command, code in results}, ran.stderr


def filled(runbook: str, values: dict[str, str]) -> list[str]:
    """Returns the words of the first command of a runbook, with values instead of the placeholders."""
    return [values.get(word, word) for word in first_command(runbook)]


@pytest.mark.parametrize("runbook", RUNBOOKS)
def test_first_command_of_a_runbook_works(
    runbook: str, values: dict[str, str], aws_exit_codes: tuple[dict[tuple[str, ...], int], str]
) -> None:
    program, *arguments = filled(runbook, values)
    if program == "aws":
        codes, messages = aws_exit_codes
        expected = SERVICE_ERROR if arguments[0] in NOT_EMBEDDED and not ON_AWS else SUCCESS
        assert codes.get(tuple(arguments)) == expected, messages
    else:
        assert program == "sandpiper"
        ran = sandpiper(*arguments)
        assert ran.returncode == 0, ran.stderr
