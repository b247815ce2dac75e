"""The health report: whether code can run here, within which limits, and what differs from AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .sandbox.cgroups import MEMORY, PROCESSORS
from .sandbox.limits import MEBIBYTE

if TYPE_CHECKING:
    from .errors import SandboxUnavailableError
    from .sandbox.cgroups import ControlGroups
    from .settings import Settings

DIFFERENCES = [
    "For development and tests: code is isolated by Linux namespaces, not by a microVM.",
    "SANDBOX and VPC interpreters resolve no public names; VPC ones reach the hosts that are named for them.",
    "Files lie in memory: of a session's disk no more can be used than its memory has room for.",
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
    groups: ControlGroups,
    networks: dict[str, str],
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
            "memory": describe_memory(groups),
            "processors": _describe_processors(groups),
            "cpus": limits.processors,
            "memoryMiB": limits.memory_bytes // MEBIBYTE,
            "diskMiB": limits.disk_bytes // MEBIBYTE,
            "diskInMemoryMiB": limits.file_systems()["work"] // MEBIBYTE,
            "temporaryMiB": limits.file_systems()["tmp"] // MEBIBYTE,
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
        "networks": networks,
        "sessions": sessions,
        "interpreters": interpreters,
        "differs": DIFFERENCES if settings.authorizer else [*DIFFERENCES, WITHOUT_AUTHORITY],
    }


def _describe_processors(groups: ControlGroups) -> str:
    version = groups.version_of(PROCESSORS)
    if version is not None:
        return f"a control group (version {version}) bounds each sandbox as a whole"
    return "not bounded: this user may make no control group for them here"


def describe_memory(groups: ControlGroups) -> str:
    """Returns in words how a sandbox's memory is bounded on this machine."""
    version = groups.version_of(MEMORY)
    if version is not None:
        return f"a control group (version {version}) bounds each sandbox as a whole"
    return "a limit on its data bounds each process, and a watchdog each sandbox as a whole"
