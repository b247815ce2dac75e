"""Kills process groups when MiniStack ends, even after SIGKILL.

The watcher is a separate process that reads a pipe from MiniStack. The kernel closes the pipe when MiniStack ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


class Watcher:
    """Starts the watcher process and registers process groups with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 - this file
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True
        )

    def watch(self, group: int) -> None:
        """Registers a process group, which is killed when this process ends."""
        self._send(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Removes a process group that has ended, because its number may be reused."""
        self._send(f"-{group}\n")

    def close(self) -> None:
        """Kills every registered group and waits until that is done."""
        self._process.communicate()

    def _send(self, line: str) -> None:
        # One unbuffered write per line. When the watcher process has ended, there is nothing to do.
        with self._lock, suppress(BrokenPipeError, ValueError):
            if self._process.stdin:
                os.write(self._process.stdin.fileno(), line.encode())


def main() -> None:
    """Reads lines `+GROUP` and `-GROUP`. At the end of the input, kills the groups that are still registered."""
    groups = set[int]()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
