"""Names and units of the metrics that the session function publishes in CloudWatch's embedded metric format.

`metric_table` describes them together with the metrics of AWS services. This module is separate, because the session
function imports it at each cold start.
"""

from __future__ import annotations

from enum import StrEnum

NAMESPACE = "Sandpiper"
SERVICE_DIMENSION = "service"
"""The dimension that Powertools Metrics sets to its service name: here a tenant of an environment."""
FAILED_RUNS = "FailedRuns"
"""The number of runs that ended with an error, with the dimensions `service` and `error`."""
ERROR_DIMENSION = "error"
"""The name of the error in the contract."""
REASON_DIMENSION = "reason"
"""The name of the reason why a file was skipped. `FilesSkipped` has a second series for each reason."""
INTERPRETER_DIMENSION = "interpreter"
"""The interpreter's key. The metrics of `COST_METRICS` have a second series for each interpreter."""
WORKFLOW_DIMENSION = "workflow"
"""The name of the state machine. The metrics of `COST_METRICS` have a third series for each workflow."""


class Metric(StrEnum):
    """The metrics with the dimension `service`. Each has one data point or none for an invocation."""

    RUNS = "Runs"
    PROGRAMS_FAILED = "ProgramsFailed"
    ERRORS = "Errors"
    THROTTLED = "Throttled"
    ACCESS_DENIED = "AccessDenied"
    DUPLICATE_EXECUTIONS = "DuplicateExecutions"
    CALLS = "Calls"
    FILES_KEPT = "FilesKept"
    BYTES_KEPT = "BytesKept"
    FILES_SKIPPED = "FilesSkipped"
    SESSIONS_STARTED = "SessionsStarted"
    SESSIONS_ENDED = "SessionsEnded"
    SESSIONS_NOT_STOPPED = "SessionsNotStopped"
    SESSIONS_STOPPED = "SessionsStopped"
    SESSIONS_SWEPT = "SessionsSwept"
    SESSION_SECONDS = "SessionSeconds"
    ESTIMATED_USD = "EstimatedUsd"
    ESTIMATED_SESSION_USD = "EstimatedSessionUsd"


COST_METRICS = (Metric.ESTIMATED_USD, Metric.ESTIMATED_SESSION_USD)

COUNT = "Count"
UNITS = {Metric.BYTES_KEPT: "Bytes", Metric.SESSION_SECONDS: "Seconds", **dict.fromkeys(COST_METRICS, "None")}
"""Units other than `COUNT`, as of CloudWatch, which has no unit for money."""
