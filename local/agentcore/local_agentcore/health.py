"""The health report: whether code can run on this machine, its limits, and the differences from AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .sandbox.cgroups import MEMORY, PROCESSORS
from .sandbox.limits import MEBIBYTE

if TYPE_CHECKING:
    from .errors import SandboxUnavailableError
    from .sandbox.cgroups import ControlGroups
    from .settings import Settings

DIFFERENCES = [
    "For development and tests: Linux namespaces isolate code, not a microVM.",
    "SANDBOX and VPC interpreters resolve no public names; VPC interpreters reach the hosts of --vpc-host.",
    "Files are in memory: a session can use no more of its disk than its memory limit allows.",
    "JavaScript and TypeScript run in one process per call: whether the service keeps variables is unknown.",
    "Certificates and file systems are returned but have no effect.",
    "Interpreters are created and deleted immediately.",
    "Metrics, usage logs and spans are available immediately; without a control group, CPU time is an estimate.",
    "The installed libraries are those of the runtime directory, not the hundreds of the service.",
]
"""Differences from AWS, one sentence each."""
NO_AUTHORIZER = "IAM does not apply to AgentCore's own operations: every caller can start, use and stop sessions."


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
            "openFilesPerProcess": limits.open_files,
            "terminals": limits.terminals,
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
        "differs": DIFFERENCES if settings.authorizer else [*DIFFERENCES, NO_AUTHORIZER],
    }


def _describe_processors(groups: ControlGroups) -> str:
    version = groups.version_of(PROCESSORS)
    if version is not None:
        return f"a control group (version {version}) limits each sandbox as a whole"
    return "not limited: this user cannot create a control group for CPU time"


def describe_memory(groups: ControlGroups) -> str:
    """Returns a description of how this machine limits a sandbox's memory."""
    version = groups.version_of(MEMORY)
    if version is not None:
        return f"a control group (version {version}) limits each sandbox as a whole"
    return "a data limit per process, and a watchdog for each sandbox as a whole"
