"""The health report: whether code can run here, within which limits, and what differs from AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .sandbox.limits import MEBIBYTE

if TYPE_CHECKING:
    from .errors import SandboxUnavailableError
    from .sandbox.memory import Delegation
    from .settings import Settings

DIFFERENCES = [
    "For development and tests: code is isolated by Linux namespaces, not by a microVM.",
    "Code of PUBLIC interpreters reaches the hosts that were named for it alone.",
    "JavaScript and TypeScript run in a process a call: whether the service keeps their variables is not known.",
    "Certificates and file systems are recorded and not acted on.",
    "Interpreters are ready, and deleted, at once.",
    "The libraries installed are those of the runtime directory, not the hundreds of the service.",
]
"""One sentence each."""
WITHOUT_AUTHORITY = "IAM does not judge AgentCore's own operations: every caller may start, use and stop sessions."


def health(
    settings: Settings,
    unavailable: SandboxUnavailableError | None,
    delegation: Delegation | None,
    sessions: int,
    interpreters: int,
) -> dict[str, Any]:
    """Returns the report as JSON values."""
    limits = settings.limits
    return {
        "ready": True,
        "sandbox": {
            "available": unavailable is None,
            "reason": None if unavailable is None else unavailable.reason,
            "fix": None if unavailable is None else unavailable.fix,
        },
        "limits": {
            "memory": describe_memory(delegation),
            "memoryMiB": limits.memory_bytes // MEBIBYTE,
            "diskMiB": limits.disk_bytes // MEBIBYTE,
            "files": limits.files,
            "processes": limits.processes,
            "outputMiB": limits.output_bytes // MEBIBYTE,
            "callSeconds": limits.call_seconds,
            "taskSeconds": limits.task_seconds,
            "callsPerSecond": settings.quotas.calls_per_second,
            "sessions": settings.quotas.sessions,
            "interpreters": settings.quotas.interpreters,
            "requestBytes": settings.quotas.request_bytes,
            "eventBytes": settings.quotas.event_bytes,
        },
        "sessions": sessions,
        "interpreters": interpreters,
        "differs": DIFFERENCES if settings.authority else [*DIFFERENCES, WITHOUT_AUTHORITY],
    }


def describe_memory(delegation: Delegation | None) -> str:
    """Returns in words how a sandbox's memory is bounded on this machine."""
    if delegation is not None:
        return f"a control group (version {delegation.hierarchy.version}) bounds each sandbox as a whole"
    return "a limit on its data bounds each process, and a watchdog each sandbox as a whole"
