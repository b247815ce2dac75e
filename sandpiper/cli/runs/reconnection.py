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
    options = {"-e": environment, "--tenant": tenant}
    flags = [part for flag, value in options.items() if value is not None for part in (flag, value)]
    commands = {"follow": ["show", "--follow"], "download": ["files"], "stop": ["stop"]}
    return "\n".join(
        f"{purpose}: {shlex.join(['sandpiper', 'runs', *command, execution, *flags])}"
        for purpose, command in commands.items()
    )


def interrupted(execution: str, environment: str | None, tenant: str | None) -> str:
    """Returns the message after Ctrl-C. The arguments are those of `reconnection`."""
    return f"interrupted: the execution continues\n{reconnection(execution, environment, tenant)}"
