"""Script that runs inside the sandbox and signals the program of another call, which runs at the same time.

It does not import other modules of the product and is started with `python3 -I -S`. It signals the Python kernel, or
the JavaScript runtimes that were started since the call, with their descendants. It never signals process 1, itself or
its own ancestors. It prints the number of signalled processes as JSON after a marker.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import zlib
from typing import Any, NamedTuple

KERNEL = "ipykernel"
RUNTIMES = ("node", "nodejs", "deno")
MAX_ARGUMENT_CHARACTERS = 200
"""Longer arguments are programs, which may contain any word."""
STAT_AFTER_NAME = {"parent": 1, "group": 2, "started": 19}
"""Indexes in /proc/PID/stat after the name, see proc_pid_stat(5)."""


class Process(NamedTuple):
    """A process: its parent, process group, start in clock ticks since boot, name, arguments and executable file."""

    pid: int
    parent: int
    group: int
    started: int
    name: str
    arguments: list[str]
    executable: str


def main(task: dict[str, Any]) -> None:
    """Sends a signal to the program that `task` describes and prints the number of processes."""
    processes = {process.pid: process for process in map(read, filter(str.isdecimal, os.listdir("/proc"))) if process}  # noqa: PTH208
    protected = {0, 1, *ancestors(os.getpid(), processes)}
    started_after = processes[os.getpid()].started - int(task["age"] * os.sysconf("SC_CLK_TCK"))
    roots = {
        process.pid
        for process in processes.values()
        if (is_kernel(process) if task["kernel"] else is_runtime(process) and process.started >= started_after)
        and process.pid not in protected
    }
    count = 0
    for pid in {*roots, *members(roots, processes)} - protected:
        try:
            os.kill(pid, task["signal"])
            count += 1
        except OSError:  # it has ended, or belongs to another user
            pass
    print("\n" + task["marker"] + json.dumps(count))


def read(pid: str) -> Process | None:
    """Reads a process. Returns None if it has ended or is hidden."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            name, _, rest = file.read().partition("(")[2].rpartition(")")
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            arguments = file.read().split("\0")
        values = rest.split()
        numbers = {key: int(values[index]) for key, index in STAT_AFTER_NAME.items()}
    except (OSError, ValueError, IndexError):
        return None
    return Process(int(pid), numbers["parent"], numbers["group"], numbers["started"], name, arguments, executable(pid))


def executable(pid: str) -> str:
    """Returns the name of a process's executable file, or an empty string if it is hidden."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))  # noqa: PTH115, PTH119
    except OSError:
        return ""


def is_kernel(process: Process) -> bool:
    """Returns whether a process is an IPython kernel, by its name or by an argument of Python."""
    is_python = os.path.basename(process.arguments[0]).startswith("python")  # noqa: PTH119
    names = [argument for argument in process.arguments if len(argument) < MAX_ARGUMENT_CHARACTERS]
    return process.name.startswith(KERNEL) or (is_python and any(KERNEL in name for name in names))


def is_runtime(process: Process) -> bool:
    """Returns whether a process is a JavaScript runtime. A program can change its arguments by `process.title`."""
    names = (os.path.basename(process.arguments[0]), process.executable.partition("-")[0])  # noqa: PTH119
    return any(name in RUNTIMES for name in names)


def ancestors(pid: int, processes: dict[int, Process]) -> set[int]:
    """Returns a process and its ancestors."""
    found: set[int] = set()
    while pid in processes and pid not in found:
        found.add(pid)
        pid = processes[pid].parent
    return found


def members(roots: set[int], processes: dict[int, Process]) -> set[int]:
    """Returns the descendants of processes, and the members of the process groups that they lead."""
    return {
        process.pid
        for process in processes.values()
        if process.group in roots or ancestors(process.pid, processes) & roots
    }


if __name__ == "__main__":
    main(json.loads(zlib.decompress(base64.b85decode(sys.argv[1]))))
