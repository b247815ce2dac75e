"""The environment variables that make boto3, the AWS CLI and the CDK CLI use an embedded AWS and nothing else."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from local_aws.settings import STEERING_TOKEN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from local_aws.running_instance import RunningInstance

LOOPBACK = ("127.0.0.1", "localhost")
OWN = ("CDK_DISABLE_CLI_TELEMETRY", STEERING_TOKEN_VARIABLE)
"""What is set beside variables of AWS."""


def apply(running: RunningInstance, environment: MutableMapping[str, str] = os.environ) -> None:
    """Points this process, and what it starts, to the embedded AWS, whatever account it was set to."""
    for name, value in changes(running, environment).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value


def shell(running: RunningInstance) -> str:
    """The same for the shell that this process was started from, as commands to evaluate."""
    return "\n".join(
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        for name, value in changes(running, os.environ).items()
    )


def unset() -> str:
    """Commands that take back what `shell` set."""
    return "\n".join(f"unset {name}" for name in os.environ if name.startswith("AWS_") or name in OWN)


def changes(running: RunningInstance, present: Mapping[str, str]) -> dict[str, str | None]:
    """What to set, and with None what to unset: every other variable of AWS, which may win over ours or mix with it."""
    foreign = [name for name in present if name.startswith("AWS_")]
    direct = _direct(present)
    return {**dict.fromkeys(foreign), **running.environment(), "NO_PROXY": direct, "no_proxy": direct}


def _direct(present: Mapping[str, str]) -> str:
    """The hosts to call without a proxy: those of now, and loopback. Tools differ in the spelling they prefer."""
    hosts = (present.get("no_proxy") or present.get("NO_PROXY") or "").split(",")
    return ",".join(dict.fromkeys(filter(None, [*map(str.strip, hosts), *LOOPBACK])))
