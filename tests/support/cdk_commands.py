"""Runs commands of the CDK CLI in one process of Node.js, for tests that are not about the CLI's process.

Starting Node.js and loading the CLI takes 0.8 s of CPU, and most commands less than that. `sandpiper.cdk_cli.cdk`
starts a process for each command, as `deployed` in tests/local/conftest.py and the demo do.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper.cdk_cli import PROJECT, QUICK_POLLS, TAIL_LINES, node
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_LOCK = threading.Lock()


def cdk(arguments: Sequence[str], directory: Path, progress: Callable[[str], None]) -> None:
    """Runs `cdk ARGUMENTS` for the embedded AWS, like `sandpiper.cdk_cli.cdk` and with the same errors."""
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        progress(line)

    environment = {**os.environ, "NODE_OPTIONS": QUICK_POLLS, "JSII_NODE": str(node()), "CI": "true"}
    if code := run(arguments, directory, environment, report):
        tail = "\n".join(lines[-TAIL_LINES:])
        raise CliError(f"cdk {' '.join(arguments)} exited with {code}:\n{tail}")


def run(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str], report: Callable[[str], None]
) -> int:
    """Runs a command of the CLI. Passes each line of its output to `report` and returns its exit code."""
    command = {"arguments": arguments, "directory": str(directory), "environment": environment}
    with _LOCK:
        return _cli().run(json.dumps(command), report)


@dataclass(frozen=True)
class _Cli:
    """The process that has loaded the CLI.

    Attributes:
        process: The process.
        requests: The write end of the pipe from which it reads commands.
        mark: The start of the line that it prints after each command, before the exit code.
    """

    process: subprocess.Popen[str]
    requests: int
    mark: str

    def run(self, command: str, report: Callable[[str], None]) -> int:
        """Runs a command and returns its exit code."""
        os.write(self.requests, f"{command}\n".encode())
        return self.wait(report)

    def wait(self, report: Callable[[str], None]) -> int:
        """Waits until the current command ends, or the process, as on invalid options. Returns the exit code."""
        for line in self._output():
            if line.startswith(self.mark):
                return int(line.removeprefix(self.mark))
            report(line)
        os.close(self.requests)
        _cli.cache_clear()
        return self.process.wait()

    def _output(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield line.rstrip()


@functools.cache
def _cli() -> _Cli:
    """Starts the process. It ends when this process does, because the pipe of commands is closed then."""
    reading, writing = os.pipe()
    mark = str(uuid.uuid4())
    script = Path(__file__).with_suffix(".cjs")
    process = subprocess.Popen(
        [node(), script, PROJECT / "node_modules" / "aws-cdk", mark, str(reading)],
        env={**os.environ, "NODE_OPTIONS": QUICK_POLLS},
        pass_fds=(reading,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    os.close(reading)
    cli = _Cli(process, writing, mark)
    assert cli.wait(print) == 0
    return cli
