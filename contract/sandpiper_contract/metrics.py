"""Names of the metrics of runs, shared by the session function, the dashboards and the alarms."""

from __future__ import annotations

from enum import StrEnum

NAMESPACE = "Sandpiper"
SERVICE_DIMENSION = "service"
"""The dimension that Powertools Metrics sets to its service name: here a tenant of an environment."""
FAILED_RUNS = "FailedRuns"
"""The number of runs that ended with an error, with the dimensions `service` and `error`."""
ERROR_DIMENSION = "error"
"""The name of the error in the contract."""


class Metric(StrEnum):
    """The metrics with the dimension `service` only. Each is a count with one data point per run."""

    RUNS = "Runs"
    PROGRAMS_FAILED = "ProgramsFailed"
    FILES_KEPT = "FilesKept"
    FILES_SKIPPED = "FilesSkipped"
    THROTTLED = "Throttled"
    ERRORS = "Errors"
    SESSIONS_NOT_STOPPED = "SessionsNotStopped"
    ACCESS_DENIED = "AccessDenied"
    """Runs to which AgentCore or S3 denied access."""
    SESSIONS_STOPPED = "SessionsStopped"
    """Live sessions of an execution that failed, was stopped or timed out."""
    SESSIONS_SWEPT = "SessionsSwept"
    """Live sessions that only the hourly sweep found after their execution had ended."""
