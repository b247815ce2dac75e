"""Gives the supervisor write access to its own out-of-memory score, which code in the sandbox cannot change.

The kernel ends the process with the highest score first, also at the limit of all sandboxes together. With a lower
score, code would let the processes of other sessions be ended. So /proc is read-only in the sandbox, and only the host
can open the file of the supervisor, which raises its score while it starts processes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from .guest.processes import SCORE_REQUEST

if TYPE_CHECKING:
    from .process_tree import ProcessTree

log = logging.getLogger(__name__)

MACHINE_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def oom_kills_of_machine() -> int:
    """Returns the number of processes of the machine that the kernel has killed for lack of memory."""
    found = MACHINE_KILLS.search(Path("/proc/vmstat").read_text())
    return int(found[1]) if found else 0


async def send_oom_score(connection: socket.socket, processes: ProcessTree, seconds: float) -> None:
    """Waits until the supervisor asks for its score, and sends a descriptor of it, or none if it cannot be opened.

    Returns without it if the supervisor has ended or asks for nothing in this time, in s. It is then not ready either.
    """
    try:
        await asyncio.wait_for(_wait_until_readable(connection), seconds)
    except TimeoutError:
        return
    if connection.recv(len(SCORE_REQUEST)) != SCORE_REQUEST:
        return
    processes.pin_init()
    descriptors: list[int] = []
    try:
        descriptors.append(os.open(f"/proc/{processes.init_pid}/oom_score_adj", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:  # such as a container whose /proc is read-only
        log.warning("The out-of-memory scores of a sandbox are those of the emulator: %s", error)
    try:
        socket.send_fds(connection, [SCORE_REQUEST], descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


async def _wait_until_readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(connection)
