"""Metrics of a tenant and of the account as data: rows of the table of metrics with the values of their dimensions.

Metrics of one interpreter for other constructs of the CDK are methods of `interpreter_access.CodeInterpreterBase`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from aws_cdk import aws_cloudwatch as cloudwatch

from sandpiper_constructs.cdk_values import minutes
from sandpiper_contract import metric_table as table
from sandpiper_contract import metrics as contract

if TYPE_CHECKING:
    from collections.abc import Mapping

AGENTCORE_NAMESPACE = table.AGENTCORE_NAMESPACE
PERIOD = minutes(5)
SERVICE = "AgentCore.CodeInterpreter"
SUM, AVERAGE = cloudwatch.Stats.SUM, cloudwatch.Stats.AVERAGE
PERCENTILE_90 = cloudwatch.Stats.percentile(90)
"""Computed once: each call of the CDK goes to another process."""


class Operation(StrEnum):
    """AgentCore operations as its metrics name them."""

    START = "StartCodeInterpreterSession"
    INVOKE = "InvokeCodeInterpreter"
    STOP = "StopCodeInterpreterSession"
    SESSION = "CodeInterpreterSession"
    """A session from its start to its end. Only `Duration` is published for it."""


class OperationMetric(StrEnum):
    """Metrics that AgentCore publishes for each operation: counts, `Latency` in milliseconds, and `Duration`."""

    INVOCATIONS = table.INVOCATIONS.name
    THROTTLES = table.THROTTLES.name
    SYSTEM_ERRORS = table.SYSTEM_ERRORS.name
    USER_ERRORS = table.USER_ERRORS.name
    LATENCY = table.LATENCY.name
    DURATION = table.SESSION_DURATION.name


class Usage(StrEnum):
    """Billed usage, which AgentCore publishes up to an hour late."""

    CPU = table.VCPU_HOURS.name
    MEMORY = table.GB_HOURS.name


@dataclass(frozen=True, kw_only=True)
class MetricData:
    """A row of the table with the values of its dimensions. It costs no call to the CDK's process.

    Attributes:
        row: the row.
        dimensions: the value of each dimension of the row, which may contain tokens.
    """

    row: table.MetricRow
    dimensions: Mapping[str, str]

    def __post_init__(self) -> None:
        """Raises ValueError for dimensions other than those of the row."""
        if set(self.dimensions) != set(self.row.dimensions):
            allowed = ", ".join(self.row.dimensions) or "none"
            raise ValueError(f"dimensions of {self.row.name} are {', '.join(self.dimensions)}; allowed: {allowed}")


@dataclass(frozen=True, kw_only=True)
class MetricQuery:
    """A Metrics Insights query.

    Attributes:
        row: the row that the query reads, with any values of its dimensions.
        expression: the query.
        period_minutes: the period in minutes.
    """

    row: table.MetricRow
    expression: str
    period_minutes: int = 5


@dataclass(frozen=True, kw_only=True)
class AnomalyBand:
    """A metric whose expected values CloudWatch derives from the last two weeks.

    Attributes:
        metric: the metric.
    """

    metric: MetricData


def live_sessions_metric() -> MetricData:
    """Returns the maximum number of live sessions in the account. AgentCore does not publish it for an interpreter."""
    return MetricData(row=table.ACTIVE_SESSIONS, dimensions={"Service": SERVICE})


def vcpu_hours_metric() -> MetricData:
    """Returns the vCPU hours that all interpreters of the account used in one hour. It is up to an hour late."""
    return MetricData(row=table.ACCOUNT_VCPU_HOURS, dimensions={"Service": SERVICE})


def gb_hours_metric() -> MetricData:
    """Returns the GB hours of memory of all interpreters of the account in one hour. It is up to an hour late."""
    return MetricData(row=table.ACCOUNT_GB_HOURS, dimensions={"Service": SERVICE})


def lambda_throttles_metric() -> MetricData:
    """Returns the number of invocations of any function of the account that Lambda throttled."""
    return MetricData(row=table.ACCOUNT_FUNCTION_THROTTLES, dimensions={})


def lambda_concurrency_metric() -> MetricData:
    """Returns the maximum number of concurrent invocations of all functions of the account."""
    return MetricData(row=table.ACCOUNT_FUNCTION_CONCURRENCY, dimensions={})


def account_throttles_metric() -> MetricQuery:
    """Returns the number of throttled AgentCore calls on all interpreters."""
    return MetricQuery(row=table.THROTTLES, expression=_sum_of_all(table.THROTTLES))


def account_calls_metric(operation: Operation) -> MetricQuery:
    """Returns the number of calls of an operation in one minute on all interpreters."""
    query = f"{_sum_of_all(table.INVOCATIONS)} WHERE Operation = '{operation.value}'"
    return MetricQuery(row=table.INVOCATIONS, expression=query, period_minutes=1)


def _sum_of_all(row: table.MetricRow) -> str:
    schema = ", ".join((f'"{row.namespace}"', *sorted(row.dimensions)))
    return f"SELECT SUM({row.name}) FROM SCHEMA({schema})"  # noqa: S608 - no SQL


def matched_events_metric(rule_name: str) -> MetricData:
    """Returns the number of events that an EventBridge rule of the default bus matched."""
    return MetricData(row=table.PLATFORM_FAILURES, dimensions={"RuleName": rule_name})


def execution_metric(state_machine_arn: str, row: table.MetricRow) -> MetricData:
    """Returns a metric of a state machine's executions."""
    return MetricData(row=row, dimensions={"StateMachineArn": state_machine_arn})


def function_metric(function_name: str, row: table.MetricRow) -> MetricData:
    """Returns a metric of a function."""
    return MetricData(row=row, dimensions={"FunctionName": function_name})


def bucket_metric(bucket_name: str, row: table.MetricRow, storage_type: str) -> MetricData:
    """Returns a daily metric of a bucket, such as its size for the storage type `StandardStorage`."""
    return MetricData(row=row, dimensions={"BucketName": bucket_name, "StorageType": storage_type})


def operation_metric(interpreter_arn: str, row: table.MetricRow, operation: Operation) -> MetricData:
    """Returns a metric of an operation on an interpreter."""
    return MetricData(row=row, dimensions={"Resource": interpreter_arn, "Operation": operation.value})


def usage_metric(interpreter_arn: str, row: table.MetricRow) -> MetricData:
    """Returns the billed usage of an interpreter."""
    return MetricData(row=row, dimensions={"Service": SERVICE, "Resource": interpreter_arn})


def blocked_names_metric(rule_group_id: str, domain_list_id: str) -> MetricData:
    """Returns the number of DNS queries that matched a domain list of a DNS firewall, such as its blocked names."""
    dimensions = {"FirewallRuleGroupId": rule_group_id, "FirewallDomainListId": domain_list_id}
    return MetricData(row=table.BLOCKED_NAMES, dimensions=dimensions)


def run_count_metric(service: str, metric: contract.Metric) -> MetricData:
    """Returns a metric that the session function of a service publishes."""
    return MetricData(row=table.OWN[metric], dimensions={contract.SERVICE_DIMENSION: service})


def daily_cost_metric(service: str) -> MetricData:
    """Returns the estimated cost of a service in 24 hours in US dollars."""
    return MetricData(row=table.DAILY_USD, dimensions={contract.SERVICE_DIMENSION: service})


def search_expression(row: table.MetricRow, service: str) -> str:
    """Returns a search with a line for each value of the second dimension of a metric of the session function."""
    schema = ",".join((row.namespace, *row.dimensions))
    terms = f'MetricName="{row.name}" {contract.SERVICE_DIMENSION}="{service}"'
    return f"SEARCH('{{{schema}}} {terms}', '{row.statistic}', {row.period_minutes * 60})"
