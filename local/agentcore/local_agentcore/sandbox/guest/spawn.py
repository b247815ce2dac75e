"""Starts programs without waiting for them.

`subprocess` waits until the new process executes its program. Code of the session may stop that process before, which
would stop the supervisor with it.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from typing import TYPE_CHECKING, NoReturn

from .processes import lower_priority

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .processes import ChildProcesses

MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux limits one argument of a program to 128 KiB with its final null byte (MAX_ARG_STRLEN)."""
CANNOT_EXECUTE = 126
RESET_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that Python ignores, which a program would inherit."""
FIRST_DESCRIPTOR = 3


def spawn(
    processes: ChildProcesses,
    arguments: Sequence[bytes | str],
    standard: tuple[int, int, int],
    environment: Mapping[str, str],
    executable: str | None = None,
) -> int:
    """Starts a program in a new session, as a victim of the out-of-memory killer.

    Args:
        processes: Child processes of the supervisor.
        arguments: The arguments, from the name.
        standard: Descriptors that become standard input, output and error.
        environment: The environment variables.
        executable: Path of the program. Default: the first argument, searched on PATH.

    Returns:
        The process id. The exit code is 126 if the program could not be executed.

    Raises:
        OSError: There is no such program, an argument is too long, or no process can be started.
    """
    path = executable or shutil.which(os.fsdecode(arguments[0]))
    if path is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if max(len(os.fsencode(argument)) for argument in arguments) > MAX_ARGUMENT_BYTES:
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    with processes.oom_victims:
        process = os.fork()
    if process == 0:
        _execute(path, arguments, standard, environment)
    return process


def _execute(
    path: str, arguments: Sequence[bytes | str], standard: tuple[int, int, int], environment: Mapping[str, str]
) -> NoReturn:
    """Replaces this fork by the program. Nothing of the supervisor is finalised."""
    try:
        os.setsid()
        for number in RESET_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
        os.closerange(FIRST_DESCRIPTOR, os.sysconf("SC_OPEN_MAX"))
        lower_priority()
        os.execve(path, [*arguments], environment)  # noqa: S606  runs the user's code
    finally:
        os._exit(CANNOT_EXECUTE)
