"""The environment variables that direct boto3, the AWS CLI and the CDK CLI to an embedded AWS."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from local_aws.settings import ADMIN_TOKEN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from local_aws.running_instance import RunningInstance

LOOPBACK_HOSTS = ("127.0.0.1", "localhost")
OTHER_VARIABLES = ("CDK_DISABLE_CLI_TELEMETRY", ADMIN_TOKEN_VARIABLE)
"""Variables of `RunningInstance.environment` that do not start with `AWS_`."""


def apply(running: RunningInstance, environment: MutableMapping[str, str] = os.environ) -> None:
    """Directs this process and its child processes to the embedded AWS. Replaces all AWS settings.

    Example:
        Use the embedded AWS of the current directory from Python::

            running, _ = control.start(StateDirectory(Path()))
            environment.apply(running)
            boto3.client("s3").list_buckets()
    """
    for name, value in changes(running, environment).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value


def shell(running: RunningInstance) -> str:
    """Returns the shell commands that make the changes of `apply` in the calling shell."""
    return "\n".join(
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        for name, value in changes(running, os.environ).items()
    )


def unset() -> str:
    """Returns the shell commands that unset the variables that `shell` sets."""
    return "\n".join(f"unset {name}" for name in os.environ if name.startswith("AWS_") or name in OTHER_VARIABLES)


def changes(running: RunningInstance, present: Mapping[str, str]) -> dict[str, str | None]:
    """Returns the variables to set, and those to unset with the value None.

    Every other `AWS_…` variable in `present` is unset: it could take precedence, or be combined with the new ones.
    """
    others = [name for name in present if name.startswith("AWS_")]
    no_proxy = _no_proxy(present)
    return {**dict.fromkeys(others), **running.environment(), "NO_PROXY": no_proxy, "no_proxy": no_proxy}


def _no_proxy(present: Mapping[str, str]) -> str:
    """Returns the present proxy exceptions and loopback. Both spellings are set because tools prefer different ones."""
    hosts = (present.get("no_proxy") or present.get("NO_PROXY") or "").split(",")
    return ",".join(dict.fromkeys(filter(None, [*map(str.strip, hosts), *LOOPBACK_HOSTS])))
