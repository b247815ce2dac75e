"""What one sandbox may use. Sizes in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
MIN_PROCESS_BYTES = 80 * MEBIBYTE
"""What the supervisor, a kernel and a command need at least."""
MIN_MEMORY_BYTES = 128 * MEBIBYTE
"""Of a sandbox, with its files. A control group of 16 MiB starts none; one a little larger runs only small code."""


@dataclass(frozen=True)
class Limits:
    """By default what the service gives a session: 2 vCPU, 8 GB of memory, 10 GB of disk (AgentCore quotas)."""

    processors: float = 2.0
    memory_bytes: int = 8 * GIBIBYTE
    private_memory_bytes: int = 8 * GIBIBYTE
    """For each process, where no control group bounds the sum of them. Not its address space: V8 reserves more."""
    disk_bytes: int = 10 * GIBIBYTE
    temporary_bytes: int = GIBIBYTE
    shared_memory_bytes: int = 64 * MEBIBYTE
    files: int = 65_536
    processes: int = 256
    open_files: int = 1024
    output_bytes: int = 32 * MEBIBYTE
    """Of one call, stdout and stderr together. The service's own limit is the 24 MiB of a reply."""
    call_seconds: float = 900.0
    """The service's limit of a synchronous call: 15 minutes (AgentCore quotas)."""
    task_output_bytes: int = 64 * MEBIBYTE
    """Of all of a session's tasks together, as long as they are remembered."""
    task_seconds: float = 28_800.0
    """The service's limit of an asynchronous command: 8 hours (AgentCore quotas)."""
    grace_seconds: float = 2.0
    """Between the interrupt at the time limit and the kill."""
    read_bytes: int = 100_000_000
    """Of one file. The service's payload limit (AgentCore quotas)."""

    def file_systems(self) -> dict[str, int]:
        """Returns the sizes of the disk (the working directory and what is installed), /tmp and /dev/shm.

        They lie in memory and count there. So that what fills them hears of it as of a full disk, and no process has to
        be ended for it, a part of the memory is out of their reach: 512 MiB by default.
        """
        room = max(self.memory_bytes - max(self.memory_bytes // 16, MIN_PROCESS_BYTES), MEBIBYTE)
        temporary, shared = min(self.temporary_bytes, room // 8), min(self.shared_memory_bytes, room // 16)
        return {"work": min(self.disk_bytes, room - temporary - shared), "tmp": temporary, "shm": shared}

    def resource_limits(self, *, memory_in_cgroup: bool) -> dict[str, int]:
        """Returns the sandbox's rlimits by name, without that of memory where a control group counts memory."""
        limits = {
            "NPROC": self.processes,
            "NOFILE": self.open_files,
            "CORE": 0,
            "MSGQUEUE": 0,
            "MEMLOCK": 0,
            "SIGPENDING": 1024,
        }
        return limits if memory_in_cgroup else limits | {"DATA": self.private_memory_bytes}
