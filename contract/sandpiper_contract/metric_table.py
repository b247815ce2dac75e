"""All metrics that dashboards and alarms use, as one table.

Widgets, alarms, the preview of dashboards and docs/metrics.md refer to its rows. It contains data only. A row is a
metric with one set of dimensions: CloudWatch keeps a metric with other dimensions as a separate series.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sandpiper_contract.errors import AUTHOR_FAULTS
from sandpiper_contract.metrics import (
    COST_METRICS,
    COUNT,
    ERROR_DIMENSION,
    FAILED_RUNS,
    INTERPRETER_DIMENSION,
    NAMESPACE,
    REASON_DIMENSION,
    SERVICE_DIMENSION,
    UNITS,
    WORKFLOW_DIMENSION,
    Metric,
)

AGENTCORE_NAMESPACE = "AWS/Bedrock-AgentCore"
SESSION_FUNCTION = "session function"
"""The source of the metrics that the session function publishes."""
_AGENTCORE_PAGE = "https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-tool-metrics.html"
_EVENTS_PAGE = "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html"
_LAMBDA_PAGE = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"
_RESOLVER_PAGE = (
    "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-resolver-dns-firewall-with-cloudwatch.html"
)
_S3_PAGE = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html"
_STATES_PAGE = "https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html"
_MILLISECONDS = "Milliseconds"
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """A metric with one set of dimensions.

    Attributes:
        namespace: the namespace.
        name: the metric's name.
        dimensions: the names of its dimensions.
        unit: the unit, as its source states it.
        statistic: the statistic over one period, unless a widget shows others.
        period_minutes: the period in minutes.
        meaning: what the number means.
        source: the URL of the AWS documentation, or `SESSION_FUNCTION`.
    """

    namespace: str
    name: str
    dimensions: tuple[str, ...]
    unit: str = COUNT
    statistic: str = "Sum"
    period_minutes: int = 5
    meaning: str
    source: str


def _operation(name: str, meaning: str, unit: str = COUNT, statistic: str = "Sum") -> MetricRow:
    """Returns a metric that AgentCore publishes for each operation on an interpreter."""
    return MetricRow(
        namespace=AGENTCORE_NAMESPACE,
        name=name,
        dimensions=("Resource", "Operation"),
        unit=unit,
        statistic=statistic,
        meaning=meaning,
        source=_AGENTCORE_PAGE,
    )


def _usage(name: str, unit: str, meaning: str, *dimensions: str) -> MetricRow:
    """Returns a metric of billed usage."""
    return MetricRow(
        namespace=AGENTCORE_NAMESPACE,
        name=name,
        dimensions=("Service", *dimensions),
        unit=unit,
        period_minutes=60,
        meaning=f"{meaning} Published up to an hour late.",
        source=_AGENTCORE_PAGE,
    )


def _function(
    name: str, meaning: str, unit: str = COUNT, statistic: str = "Sum", *, account: bool = False
) -> MetricRow:
    """Returns a metric of a function, or of all functions of the account."""
    return MetricRow(
        namespace="AWS/Lambda",
        name=name,
        dimensions=() if account else ("FunctionName",),
        unit=unit,
        statistic=statistic,
        meaning=meaning,
        source=_LAMBDA_PAGE,
    )


def _workflow(name: str, meaning: str, unit: str = COUNT, statistic: str = "Sum") -> MetricRow:
    """Returns a metric of a state machine."""
    return MetricRow(
        namespace="AWS/States",
        name=name,
        dimensions=("StateMachineArn",),
        unit=unit,
        statistic=statistic,
        meaning=meaning,
        source=_STATES_PAGE,
    )


def _bucket(name: str, meaning: str, unit: str) -> MetricRow:
    """Returns a metric of a bucket, which S3 publishes once a day."""
    return MetricRow(
        namespace="AWS/S3",
        name=name,
        dimensions=("BucketName", "StorageType"),
        unit=unit,
        statistic="Average",
        period_minutes=_DAY_MINUTES,
        meaning=f"{meaning} Published once a day.",
        source=_S3_PAGE,
    )


def _own(name: str, meaning: str, *dimensions: str, unit: str = COUNT) -> MetricRow:
    """Returns a metric that the session function publishes."""
    return MetricRow(
        namespace=NAMESPACE,
        name=name,
        dimensions=(SERVICE_DIMENSION, *dimensions),
        unit=unit,
        meaning=meaning,
        source=SESSION_FUNCTION,
    )


INVOCATIONS = _operation("Invocations", "Calls of an operation, whatever their response.")
LATENCY = _operation(
    "Latency",
    "Time from the receipt of a call to the first token of its response. It is not the run time of the code.",
    _MILLISECONDS,
    "p90",
)
SYSTEM_ERRORS = _operation("SystemErrors", "Calls that failed because of AgentCore.")
USER_ERRORS = _operation("UserErrors", "Calls that AgentCore rejected because of the caller.")
THROTTLES = _operation("Throttles", "Calls that AgentCore rejected because a rate or a quota was exceeded.")
SESSION_DURATION = _operation(
    "Duration",
    "Time from the start to the end of a session. Published for the operation CodeInterpreterSession only.",
    _MILLISECONDS,
    "Average",
)
ACCOUNT_VCPU_HOURS = _usage("CPUUsed-vCPUHours", "vCPU-hours", "Processor time of all sessions of the account.")
ACCOUNT_GB_HOURS = _usage("MemoryUsed-GBHours", "GB-hours", "Memory of all sessions of the account, times their time.")
VCPU_HOURS = _usage("CPUUsed-vCPUHours", "vCPU-hours", "Processor time of the sessions of an interpreter.", "Resource")
GB_HOURS = _usage(
    "MemoryUsed-GBHours", "GB-hours", "Memory of the sessions of an interpreter, times their time.", "Resource"
)
ACTIVE_SESSIONS = MetricRow(
    namespace=AGENTCORE_NAMESPACE,
    name="ActiveSessionCount",
    dimensions=("Service",),
    statistic="Maximum",
    meaning="Live sessions of the account. AgentCore does not publish it for an interpreter.",
    source=_AGENTCORE_PAGE,
)

FUNCTION_INVOCATIONS = _function("Invocations", "Invocations of the session function.")
FUNCTION_ERRORS = _function("Errors", "Invocations that ended with an error, also one of the contract.")
FUNCTION_THROTTLES = _function("Throttles", "Invocations that Lambda rejected because of a concurrency limit.")
FUNCTION_DURATION = _function("Duration", "Duration of an invocation, with the waiting for code.", _MILLISECONDS, "p90")
FUNCTION_CONCURRENCY = _function("ConcurrentExecutions", "Invocations at the same time.", COUNT, "Maximum")
ACCOUNT_FUNCTION_THROTTLES = _function(
    "Throttles", "Invocations of any function of the account that Lambda rejected.", account=True
)
ACCOUNT_FUNCTION_CONCURRENCY = _function(
    "ConcurrentExecutions",
    "Invocations of all functions of the account at the same time.",
    COUNT,
    "Maximum",
    account=True,
)

EXECUTIONS_STARTED = _workflow("ExecutionsStarted", "Executions that were started.")
EXECUTIONS_SUCCEEDED = _workflow("ExecutionsSucceeded", "Executions that ended with a result.")
EXECUTIONS_FAILED = _workflow("ExecutionsFailed", "Executions that ended with an error.")
EXECUTIONS_TIMED_OUT = _workflow("ExecutionsTimedOut", "Executions that reached the maximum duration of the workflow.")
EXECUTIONS_ABORTED = _workflow("ExecutionsAborted", "Executions that a caller stopped.")
EXECUTION_TIME = _workflow("ExecutionTime", "Time from the start to the end of an execution.", _MILLISECONDS, "p90")
EXECUTION_THROTTLED = _workflow("ExecutionThrottled", "State transitions that Step Functions delayed.")

PLATFORM_FAILURES = MetricRow(
    namespace="AWS/Events",
    name="MatchedEvents",
    dimensions=("RuleName",),
    meaning="Failed executions of a workflow, without the errors that their author has to correct: "
    f"{', '.join(AUTHOR_FAULTS)}.",
    source=_EVENTS_PAGE,
)
BLOCKED_NAMES = MetricRow(
    namespace="AWS/Route53Resolver",
    name="FirewallRuleQueryVolume",
    dimensions=("FirewallRuleGroupId", "FirewallDomainListId"),
    meaning="DNS queries for names that the firewall of the network blocks.",
    source=_RESOLVER_PAGE,
)
BUCKET_BYTES = _bucket("BucketSizeBytes", "Size of all objects and versions of the data bucket.", "Bytes")
BUCKET_OBJECTS = _bucket("NumberOfObjects", "Objects and versions in the data bucket.", COUNT)

_OWN_MEANINGS = {
    Metric.RUNS: "Operations that the session function performed: runs, and steps of longer jobs such as a poll.",
    Metric.PROGRAMS_FAILED: "Programs that ended with an exit code other than 0.",
    Metric.ERRORS: "Operations without a result, except those that were throttled.",
    Metric.THROTTLED: "Operations that AgentCore throttled before the code ran.",
    Metric.ACCESS_DENIED: "Operations to which AgentCore or S3 denied access. A missing input is not one.",
    Metric.DUPLICATE_EXECUTIONS: "Runs whose code was accepted twice. Always 0; another number is a defect.",
    Metric.CALLS: "Calls of an operation to AgentCore, also to start and stop sessions.",
    Metric.FILES_KEPT: "Files of programs that were returned or stored.",
    Metric.BYTES_KEPT: "Size of the files that were returned or stored.",
    Metric.FILES_SKIPPED: "Files of programs that were not returned.",
    Metric.SESSIONS_STARTED: "Sessions that the session function started.",
    Metric.SESSIONS_ENDED: "Live sessions that the session function stopped, in any operation.",
    Metric.SESSIONS_NOT_STOPPED: "Leaked sessions: stopping them failed, and they cost money until they expire.",
    Metric.SESSIONS_STOPPED: "Live sessions of executions that failed, timed out or were stopped.",
    Metric.SESSIONS_SWEPT: "Live sessions that only the hourly sweep found after their execution had ended.",
    Metric.SESSION_SECONDS: "Time of sessions from their start to their stop by an operation.",
    Metric.ESTIMATED_USD: "Estimated cost in US dollars: AgentCore, Lambda and Step Functions.",
    Metric.ESTIMATED_SESSION_USD: "The part of EstimatedUsd that is for AgentCore.",
}
OWN: dict[Metric, MetricRow] = {
    metric: _own(metric.value, meaning, unit=UNITS.get(metric, COUNT)) for metric, meaning in _OWN_MEANINGS.items()
}
"""The metrics of the session function with the dimension `service` only."""
DAILY_USD = replace(OWN[Metric.ESTIMATED_USD], period_minutes=_DAY_MINUTES)
"""The estimated cost over a day. It is the same metric with another period."""
FAILED_RUNS_BY_ERROR = _own(FAILED_RUNS, "Operations without a result by the name of their error.", ERROR_DIMENSION)
FILES_SKIPPED_BY_REASON = _own(
    Metric.FILES_SKIPPED.value, "Files that were not returned, by the name of the reason.", REASON_DIMENSION
)
COSTS_BY_INTERPRETER, COSTS_BY_WORKFLOW = (
    {
        metric: _own(metric.value, f"{_OWN_MEANINGS[metric]} By {dimension}.", dimension, unit=UNITS[metric])
        for metric in COST_METRICS
    }
    for dimension in (INTERPRETER_DIMENSION, WORKFLOW_DIMENSION)
)
"""The estimated costs by interpreter and by workflow."""

ROWS: tuple[MetricRow, ...] = (
    *(INVOCATIONS, LATENCY, SYSTEM_ERRORS, USER_ERRORS, THROTTLES, SESSION_DURATION, ACTIVE_SESSIONS),
    *(VCPU_HOURS, GB_HOURS, ACCOUNT_VCPU_HOURS, ACCOUNT_GB_HOURS),
    *OWN.values(),
    *(FAILED_RUNS_BY_ERROR, FILES_SKIPPED_BY_REASON),
    *COSTS_BY_INTERPRETER.values(),
    *COSTS_BY_WORKFLOW.values(),
    *(FUNCTION_INVOCATIONS, FUNCTION_ERRORS, FUNCTION_THROTTLES, FUNCTION_DURATION, FUNCTION_CONCURRENCY),
    *(ACCOUNT_FUNCTION_THROTTLES, ACCOUNT_FUNCTION_CONCURRENCY),
    *(EXECUTIONS_STARTED, EXECUTIONS_SUCCEEDED, EXECUTIONS_FAILED, EXECUTIONS_TIMED_OUT, EXECUTIONS_ABORTED),
    *(EXECUTION_TIME, EXECUTION_THROTTLED, PLATFORM_FAILURES, BLOCKED_NAMES, BUCKET_BYTES, BUCKET_OBJECTS),
)
"""All rows, by namespace."""
