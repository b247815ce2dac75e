"""Names of the metrics that a run emits, shared by what emits them and by the dashboards and alarms that read them."""

from __future__ import annotations

from enum import StrEnum

NAMESPACE = "Sandpiper"
SERVICE_DIMENSION = "service"
"""The dimension that Powertools Metrics fills with its service's name: here one tenant of one environment."""


class Metric(StrEnum):
    """Counts, one data point a run."""

    RUNS = "Runs"
    PROGRAMS_FAILED = "ProgramsFailed"
    FILES_KEPT = "FilesKept"
    FILES_SKIPPED = "FilesSkipped"
    THROTTLED = "Throttled"
    ERRORS = "Errors"
    SESSIONS_NOT_STOPPED = "SessionsNotStopped"
