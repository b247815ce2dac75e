"""Finds the processes in which the embedded AWS runs a function."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws.running_instance import RunningInstance


def workers(aws: RunningInstance, function: str) -> Iterator[int]:
    """Yields the ids of the processes of a function that this embedded AWS has started."""
    name = f"AWS_LAMBDA_FUNCTION_NAME={function.rpartition(':')[2]}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if name in (process / "environ").read_bytes().split(b"\0") and aws.pid in ancestors(int(process.name)):
                yield int(process.name)
        except OSError:
            continue


def ancestors(pid: int) -> Iterator[int]:
    """Yields the ids of the ancestors of a process."""
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        yield pid
