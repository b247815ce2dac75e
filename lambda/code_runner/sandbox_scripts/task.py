"""Script that runs inside the sandbox: runs a started command, keeps its output in files, and ends it at its timeout.

It does not import other modules of the product and is started with `python3 -I -S`. The output also goes to this
process's own stdout and stderr, as without this script. A terminal stays a terminal for the command, so that programs
write each line immediately. The command stays in this process's group, so that a signal to the group reaches both. The
exit code is the command's, or 124 after a timeout, as of timeout(1).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
import zlib
from contextlib import suppress
from typing import Any

READ_BYTES = 64 * 1024
MAX_FINAL_READS = 64
"""Empties a pipe after the end of the command. A background process that prints forever must not block the end."""
TIMED_OUT_EXIT_CODE = 124


class Log:
    """A file with the last output. At its maximum size it becomes `PATH.1`, which replaces the one before."""

    def __init__(self, path: str, max_bytes: int) -> None:
        self.path, self.max_bytes, self.size = path, max_bytes, 0
        self.descriptor: int | None = None
        self.open()

    def open(self) -> None:
        """Creates the file. Without space for it, the output is not kept."""
        with suppress(OSError):
            self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def write(self, data: bytes) -> None:
        """Appends output."""
        if self.descriptor is None:
            return
        try:
            if self.size + len(data) > self.max_bytes:
                os.close(self.descriptor)
                self.descriptor, self.size = None, 0
                os.replace(self.path, f"{self.path}.1")  # noqa: PTH105
                self.open()
            if self.descriptor is not None:
                self.size += os.write(self.descriptor, data)
        except OSError:  # the disk is full, or the program removed the file
            self.descriptor = None


class Stream:
    """Copies what the command writes to `own` and to a log."""

    def __init__(self, source: int, own: int, log: Log) -> None:
        self.source, self.own, self.log = source, own, log
        os.set_blocking(source, False)

    def copy(self) -> bool:
        """Copies what is available. Returns False at the end of the stream."""
        try:
            data = os.read(self.source, READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:  # EIO from a terminal whose other end is closed
            return False
        self.log.write(data)
        with suppress(OSError):  # the reader of this process has ended
            while data[(written := os.write(self.own, data)) :]:
                data = data[written:]
        return bool(data)


def main(task: dict[str, Any]) -> int:
    """Runs the command of `task` and returns its exit code."""
    with suppress(OSError):
        os.mkdir(task["folder"], 0o700)  # noqa: PTH102
    wake_reader, wake_writer = os.pipe()
    for descriptor in (wake_reader, wake_writer):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, ignore)
    streams, ends = open_streams(task["folder"], task["logBytes"])
    command = subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", task["command"]],
        stdout=ends[0],
        stderr=ends[1],
        env=initial_environment(),
    )
    for descriptor in set(ends):
        os.close(descriptor)

    def terminate(_number: int, _frame: object) -> None:
        command.terminate()  # the task was stopped; the signal may have been sent to this process only

    signal.signal(signal.SIGTERM, terminate)
    limits = [(task["seconds"], signal.SIGTERM), (task["graceSeconds"], signal.SIGKILL)]
    deadline, timed_out = time.monotonic() + limits[0][0], False
    while command.poll() is None:
        seconds_left = max(deadline - time.monotonic(), 0)
        ready, _, _ = select.select([wake_reader, *(stream.source for stream in streams)], [], [], seconds_left)
        with suppress(BlockingIOError):
            os.read(wake_reader, READ_BYTES)
        streams = [stream for stream in streams if stream.source not in ready or stream.copy()]
        if time.monotonic() >= deadline:
            timed_out = True
            signal_group(limits.pop(0)[1] if limits else signal.SIGKILL)
            deadline = time.monotonic() + (limits[0][0] if limits else task["graceSeconds"])
    for stream in streams:
        for _ in range(MAX_FINAL_READS):
            if not select.select([stream.source], [], [], 0)[0] or not stream.copy():
                break
    if timed_out:
        signal_group(signal.SIGKILL)  # what the command left in the background
        return TIMED_OUT_EXIT_CODE
    return 128 - command.returncode if command.returncode < 0 else command.returncode


def open_streams(folder: str, log_bytes: int) -> tuple[list[Stream], tuple[int, int]]:
    """Returns the streams to copy, and the command's stdout and stderr, which are one if this process's are one."""
    if os.isatty(1) and os.isatty(2) and os.ttyname(1) == os.ttyname(2):
        source, end = open_end(1)
        return [Stream(source, 1, Log(f"{folder}/stdout", log_bytes))], (end, end)
    (stdout, stdout_end), (stderr, stderr_end) = open_end(1), open_end(2)
    logs = Log(f"{folder}/stdout", log_bytes), Log(f"{folder}/stderr", log_bytes)
    return [Stream(stdout, 1, logs[0]), Stream(stderr, 2, logs[1])], (stdout_end, stderr_end)


def open_end(own: int) -> tuple[int, int]:
    """Returns the ends of a terminal if `own` is one, else of a pipe: the one to read and the one of the command."""
    if os.isatty(own):
        with suppress(OSError):  # no terminal is left
            source, end = pty.openpty()
            attributes = termios.tcgetattr(end)
            attributes[1] &= ~termios.OPOST  # stdout already converts line ends
            termios.tcsetattr(end, termios.TCSANOW, attributes)
            fcntl.ioctl(end, termios.TIOCSWINSZ, fcntl.ioctl(own, termios.TIOCGWINSZ, bytes(8)))
            return source, end
    return os.pipe()


def initial_environment() -> dict[str, str]:
    """Returns the environment that this process got. Python adds LC_CTYPE to its own."""
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123
        entries = [entry.partition("=") for entry in os.fsdecode(file.read()).split("\0") if "=" in entry]
    return {name: value for name, _, value in entries}


def signal_group(number: int) -> None:
    """Signals all processes of this process's group except this one and its parent."""
    group, own = os.getpgid(0), (os.getpid(), os.getppid())
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):  # noqa: PTH208
        with suppress(OSError):
            if pid not in own and os.getpgid(pid) == group:
                os.kill(pid, number)


def ignore(_number: int, _frame: object) -> None:
    """Ignores a signal. The signal wakes `select`."""


if __name__ == "__main__":
    sys.exit(main(json.loads(zlib.decompress(base64.b85decode(sys.argv[1])))))
