"""The commands for an execution that continues without the command that started or followed it."""

from __future__ import annotations

import shlex


def reconnection(execution: str, environment: str | None, tenant: str | None) -> str:
    """Returns the commands for an execution, one on each line.

    Args:
        execution: the ARN of the execution.
        environment: the option `--environment` of the present command.
        tenant: the option `--tenant` of the present command.
    """
    commands = {"follow": ["show", "--follow"], "download": ["files"], "stop": ["stop"]}
    return _commands(commands, execution, environment, tenant)


def answers(execution: str, environment: str | None, tenant: str | None) -> str:
    """Returns the commands for an approval, one on each line. The arguments are those of `reconnection`."""
    return _commands({"approve": ["approve"], "reject": ["reject"]}, execution, environment, tenant)


def interrupted(execution: str, environment: str | None, tenant: str | None) -> str:
    """Returns the message after Ctrl-C. The arguments are those of `reconnection`."""
    return f"interrupted: the execution continues\n{reconnection(execution, environment, tenant)}"


def _commands(commands: dict[str, list[str]], execution: str, environment: str | None, tenant: str | None) -> str:
    options = {"-e": environment, "--tenant": tenant}
    flags = [part for flag, value in options.items() if value is not None for part in (flag, value)]
    return "\n".join(
        f"{purpose}: {shlex.join(['sandpiper', 'runs', *command, execution, *flags])}"
        for purpose, command in commands.items()
    )
