"""Shell commands. As in the service, each runs in a new shell on a separate terminal.

The service's responses have CRLF line ends and pip's progress bars. Its commands therefore write stdout and stderr to
one terminal, which does not distinguish them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
import termios
from pathlib import Path

from .kernel import Outcome
from .output import Budget, Collector
from .processes import ChildProcesses, shell_exit_code, wait_or_terminate
from .spawn import spawn

WINDOW = struct.pack("HHHH", 24, 80, 0, 0)
SHELL_NAME = "/bin/sh"
SHELLS = ("/usr/bin/bash", "/bin/bash", SHELL_NAME)  # on Amazon Linux /bin/sh is bash: same messages, same syntax
SUPERVISOR_INPUT = 0
"""The supervisor's standard input, which is /dev/null."""
NO_TERMINAL = (
    "every terminal of the session is in use (ENOSPC). End commands that run in the background, or programs that keep "
    "/dev/ptmx open"
)


async def run_command(
    command: bytes, seconds: float, grace_seconds: float, budget: Budget, processes: ChildProcesses
) -> Outcome:
    """Runs a command until it ends. All output is in `stdout`. Ends its process group at the time limit."""
    running = RunningCommand(command, budget, processes)
    return await running.outcome(seconds, grace_seconds)


class RunningCommand:
    """A started command on a separate terminal."""

    def __init__(self, command: bytes, budget: Budget, processes: ChildProcesses) -> None:
        if b"\0" in command:
            raise OSError(errno.EINVAL, "a command must not contain NUL characters")
        self._budget = budget
        self._terminal, child_end = _open_terminal()
        try:
            fcntl.ioctl(child_end, termios.TIOCSWINSZ, WINDOW)
            os.set_blocking(self._terminal, False)
            shell = next(shell for shell in SHELLS if Path(shell).exists())
            standard = (SUPERVISOR_INPUT, child_end, child_end)
            self._process = spawn(processes, [SHELL_NAME, "-c", command], standard, os.environ, shell)
            self._end = processes.exit_of(self._process)
        except BaseException:
            os.close(self._terminal)
            raise
        finally:
            os.close(child_end)
        self._collector = Collector(self._terminal, budget)

    async def outcome(self, seconds: float, grace_seconds: float) -> Outcome:
        """Waits until the command ends, or ends it at the time limit. Times are in s."""
        timed_out = await wait_or_terminate(self._end, self._process, seconds, grace_seconds, signal.SIGINT)
        output = self._collector.finish()
        os.close(self._terminal)
        return Outcome(shell_exit_code(self._end.result()), output, b"", timed_out, self._budget.exceeded)

    async def cancel(self, grace_seconds: float) -> None:
        """Ends the command with SIGTERM, then with SIGKILL after `grace_seconds`. Pending `outcome` calls return."""
        await wait_or_terminate(self._end, self._process, 0, grace_seconds, signal.SIGTERM)


def _open_terminal() -> tuple[int, int]:
    """Opens a pseudo terminal. Returns the descriptors of both ends.

    Raises:
        OSError: There is none. `strerror` states the cause.
    """
    try:
        return os.openpty()
    except OSError as error:
        if error.errno != errno.ENOSPC:  # the limit of the sandbox or of the machine
            raise
        raise OSError(error.errno, NO_TERMINAL) from error
