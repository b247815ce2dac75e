"""Resource limits of a sandbox. Sizes are in bytes, times in s."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
MIN_PROCESS_BYTES = 80 * MEBIBYTE
"""Memory that the supervisor, a kernel and a command need together."""
MIN_MEMORY_BYTES = 128 * MEBIBYTE
"""Minimum memory of a sandbox, including its files. Below 16 MiB it does not start."""


@dataclass(frozen=True)
class Limits:
    """Limits of one sandbox. Defaults are those of the service: 2 vCPU, 8 GB memory, 10 GB disk (AgentCore quotas)."""

    processors: float = 2.0
    memory_bytes: int = 8 * GIBIBYTE
    private_memory_bytes: int = 8 * GIBIBYTE
    """Limit of each process if no control group limits their sum. It does not limit address space, because V8 reserves
    more."""
    disk_bytes: int = 10 * GIBIBYTE
    temporary_bytes: int = GIBIBYTE
    shared_memory_bytes: int = 64 * MEBIBYTE
    files: int = 65_536
    processes: int = 256
    open_files: int = 1024
    terminals: int = 256
    """Pseudo-terminals, one for each running command and task. The machine has 3,072 for all sandboxes, and 1,024 more
    that only the host can open (kernel/pty/max and reserve)."""
    output_bytes: int = 32 * MEBIBYTE
    """Output of one call, stdout and stderr together. The service limits a response to 24 MiB."""
    call_seconds: float = 900.0
    """Duration of a synchronous call. The service allows 15 minutes (AgentCore quotas)."""
    task_output_bytes: int = 64 * MEBIBYTE
    """Output of all remembered tasks of a session together."""
    task_seconds: float = 28_800.0
    """Duration of an asynchronous command. The service allows 8 hours (AgentCore quotas)."""
    grace_seconds: float = 2.0
    """Time between the interrupt at the time limit and the kill."""
    read_bytes: int = 100_000_000
    """Size of one file that can be read. The service's limit for a payload (AgentCore quotas)."""

    def file_systems(self) -> dict[str, int]:
        """Returns the sizes of the disk (working directory and installed packages), /tmp and /dev/shm.

        These file systems are in memory and count as memory. A part of the memory, 512 MiB by default, is reserved for
        processes, so that a program that fills the disk gets a disk error instead of being killed.
        """
        available = max(self.memory_bytes - max(self.memory_bytes // 16, MIN_PROCESS_BYTES), MEBIBYTE)
        temporary, shared = min(self.temporary_bytes, available // 8), min(self.shared_memory_bytes, available // 16)
        return {"work": min(self.disk_bytes, available - temporary - shared), "tmp": temporary, "shm": shared}

    def resource_limits(self, *, memory_in_cgroup: bool) -> dict[str, int]:
        """Returns the rlimits by name. The memory limit is omitted if a control group counts memory.

        The launcher sets the limit of core dumps, because the system-call filter ignores changes of it.
        """
        limits = {
            "NPROC": self.processes,
            "NOFILE": self.open_files,
            "MSGQUEUE": 0,
            "MEMLOCK": 0,
            "NICE": 0,
            "RTPRIO": 0,
            "SIGPENDING": 1024,
        }
        return limits if memory_in_cgroup else limits | {"DATA": self.private_memory_bytes}
