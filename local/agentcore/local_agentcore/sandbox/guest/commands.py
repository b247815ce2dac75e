"""Shell commands: each in a fresh shell, on a terminal of its own, as the service runs them.

The service's answers have CRLF line ends and pip's progress bars, so its commands write to one terminal, where stdout
and stderr cannot be told apart.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from pathlib import Path

from .kernel import Outcome
from .output import Budget, Collector
from .processes import ChildProcesses, lower_priority, shell_exit_code, wait_or_terminate

WINDOW = struct.pack("HHHH", 24, 80, 0, 0)
SHELL_NAME = "/bin/sh"
SHELLS = ("/usr/bin/bash", "/bin/bash", SHELL_NAME)  # on Amazon Linux /bin/sh is bash: same messages, same syntax


async def run_command(
    command: bytes, seconds: float, grace_seconds: float, budget: Budget, processes: ChildProcesses
) -> Outcome:
    """Runs one command to its end. All that it printed is in `stdout`; at the time limit its process group is ended."""
    running = RunningCommand(command, budget, processes)
    return await running.outcome(seconds, grace_seconds)


class RunningCommand:
    """One command that has been started, on its own terminal."""

    def __init__(self, command: bytes, budget: Budget, processes: ChildProcesses) -> None:
        self._budget = budget
        self._terminal, far_end = pty.openpty()
        try:
            fcntl.ioctl(far_end, termios.TIOCSWINSZ, WINDOW)
            os.set_blocking(self._terminal, False)
            shell = next(shell for shell in SHELLS if Path(shell).exists())
            with processes.oom_victims:
                self._process = subprocess.Popen(  # noqa: S603  running what it is given is this program's purpose
                    [SHELL_NAME, "-c", command],
                    executable=shell,
                    stdin=subprocess.DEVNULL,
                    stdout=far_end,
                    stderr=far_end,
                    start_new_session=True,
                )
            self._end = processes.exit_of(self._process.pid)
            lower_priority(self._process.pid)
        except BaseException:
            os.close(self._terminal)
            raise
        finally:
            os.close(far_end)
        self._collector = Collector(self._terminal, budget)

    async def outcome(self, seconds: float, grace_seconds: float) -> Outcome:
        """Waits for its end, which comes at the time limit at the latest."""
        timed_out = await wait_or_terminate(self._end, self._process.pid, seconds, grace_seconds, signal.SIGINT)
        self._process.returncode = self._end.result()
        output = self._collector.finish()
        os.close(self._terminal)
        return Outcome(shell_exit_code(self._process.returncode), output, b"", timed_out, self._budget.exceeded)

    async def cancel(self, grace_seconds: float) -> None:
        """Ends it: asks it to, and kills it after the grace. Whoever waits for its outcome gets it."""
        await wait_or_terminate(self._end, self._process.pid, 0, grace_seconds, signal.SIGTERM)
