"""Ends what MiniStack has started once MiniStack is gone, however it ended: a process that waits at a pipe from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


class Watcher:
    """Told of every process group that has to end with this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 - this file
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True
        )

    def watch(self, group: int) -> None:
        """The group is killed when this process ends."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """The group has ended; its number may become another's."""
        self._tell(f"-{group}\n")

    def end(self) -> None:
        """Kills every group that is watched, and returns when that is done."""
        self._process.communicate()

    def _tell(self, line: str) -> None:
        # Unbuffered, one write a line; a watcher that has ended watches nothing.
        with self._lock, suppress(BrokenPipeError, ValueError):
            if self._process.stdin:
                os.write(self._process.stdin.fileno(), line.encode())


def main() -> None:
    """Reads `+GROUP` and `-GROUP`; at the end of the pipe kills the groups that are left."""
    groups = set[int]()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
