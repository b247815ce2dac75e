"""Shell commands: each in a fresh shell, on a terminal of its own, as the service runs them.

The service's answers have CRLF line ends and pip's progress bars, so its commands write to one terminal, where stdout
and stderr cannot be told apart.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from contextlib import suppress
from pathlib import Path

from .kernel import NICENESS, Outcome
from .output import Budget, Collector
from .processes import Processes, signal_group

WINDOW = struct.pack("HHHH", 24, 80, 0, 0)
SHELL_NAME = "/bin/sh"
SHELLS = ("/usr/bin/bash", "/bin/bash", SHELL_NAME)  # on Amazon Linux /bin/sh is bash: same messages, same syntax


async def run_command(
    command: bytes, seconds: float, grace_seconds: float, budget: Budget, processes: Processes
) -> Outcome:
    """Runs one command to its end. All that it printed is in `stdout`; at the time limit its process group is ended."""
    terminal, far_end = pty.openpty()
    try:
        fcntl.ioctl(far_end, termios.TIOCSWINSZ, WINDOW)
        os.set_blocking(terminal, False)
        shell = next(shell for shell in SHELLS if Path(shell).exists())
        process = subprocess.Popen(  # noqa: S603  running what it is given is this program's purpose
            [SHELL_NAME, "-c", command],
            executable=shell,
            stdin=subprocess.DEVNULL,
            stdout=far_end,
            stderr=far_end,
            start_new_session=True,
        )
        end = processes.end_of(process.pid)
        _yield_to_supervisor(process.pid)
    except BaseException:
        os.close(terminal)
        raise
    finally:
        os.close(far_end)
    collector = Collector(terminal, budget)
    timed_out = False
    for limit, number in ((seconds, signal.SIGINT), (grace_seconds, signal.SIGKILL), (None, None)):
        if (await asyncio.wait({end}, timeout=limit))[0]:
            break
        timed_out = True
        if number is not None:
            signal_group(process.pid, number)
    process.returncode = end.result()
    output = collector.finish()
    os.close(terminal)
    return Outcome(_shell_status(process.returncode), output, b"", timed_out, budget.exceeded)


def _yield_to_supervisor(process: int) -> None:
    """Lets the out-of-memory killer take a command before the supervisor, and the scheduler prefer the supervisor.

    From outside, after its exec: a fork of the supervisor must not become dumpable while it still is its copy.
    """
    with suppress(OSError):  # it has ended already
        Path(f"/proc/{process}/oom_score_adj").write_text("1000")
        os.setpriority(os.PRIO_PROCESS, process, NICENESS)


def _shell_status(code: int) -> int:
    """A shell says 128 + n for a program that signal n ended."""
    return 128 - code if code < 0 else code
