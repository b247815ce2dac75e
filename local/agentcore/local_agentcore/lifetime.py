"""A process that ends with the one that started it, however that one ends: its standard input is a pipe from there.

The kernel closes the pipes of a process that is killed, too. PR_SET_PDEATHSIG is Linux's alone, and strikes when the
thread ends that started the process.
"""

from __future__ import annotations

import os
import signal
import threading

OPTION = "--until-end-of-input"
HELP = "end when standard input does, as it does with the process that holds the other end of a pipe"


def end_with_input() -> None:
    """Sends this process SIGTERM once its standard input has ended."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end-with-input", daemon=True).start()
