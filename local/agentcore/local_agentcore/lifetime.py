"""Ends a process with its parent, even when the parent is killed: standard input is a pipe from the parent.

The kernel closes a killed process's pipes. PR_SET_PDEATHSIG is not an alternative: only Linux supports it, and it fires
when the thread that started the process ends.
"""

from __future__ import annotations

import os
import signal
import threading

OPTION = "--until-end-of-input"
HELP = "end when standard input ends, as when the parent process that holds its pipe ends"


def end_with_input() -> None:
    """Sends this process SIGTERM when its standard input ends."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end-with-input", daemon=True).start()
