"""Metrics of a tenant and of the account: namespace, dimensions, statistic and period of each.

Metrics of one interpreter are methods of `interpreter_access.CodeInterpreterBase`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from sandpiper_contract import metrics as contract

if TYPE_CHECKING:
    from collections.abc import Mapping

AGENTCORE_NAMESPACE = "AWS/Bedrock-AgentCore"
"""https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-tool-metrics.html"""
_minutes = functools.cache(Duration.minutes)
PERIOD = _minutes(5)
SERVICE = "AgentCore.CodeInterpreter"
SUM, AVERAGE = cloudwatch.Stats.SUM, cloudwatch.Stats.AVERAGE
PERCENTILE_90 = cloudwatch.Stats.percentile(90)
"""Computed once: each call of the CDK goes to another process, and a dashboard has hundreds of metrics."""


class Operation(StrEnum):
    """AgentCore operations as its metrics name them."""

    START = "StartCodeInterpreterSession"
    INVOKE = "InvokeCodeInterpreter"
    STOP = "StopCodeInterpreterSession"
    SESSION = "CodeInterpreterSession"
    """A session from its start to its end. Only `Duration` is published for it."""


class OperationMetric(StrEnum):
    """Metrics that AgentCore publishes for each operation: counts, `Latency` in milliseconds, and `Duration`."""

    INVOCATIONS = "Invocations"
    THROTTLES = "Throttles"
    SYSTEM_ERRORS = "SystemErrors"
    USER_ERRORS = "UserErrors"
    LATENCY = "Latency"
    DURATION = "Duration"


class Usage(StrEnum):
    """Billed usage, which AgentCore publishes up to an hour late."""

    CPU = "CPUUsed-vCPUHours"
    MEMORY = "MemoryUsed-GBHours"


@dataclass(frozen=True, kw_only=True)
class MetricData:
    """A metric as data. It costs no call to the CDK's process, unlike `cloudwatch.Metric`.

    Attributes:
        namespace: the namespace.
        name: the metric's name.
        dimensions: the value of each dimension, which may contain tokens.
        statistic: the statistic over one period.
        period_minutes: the period in minutes.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str = "Sum"
    period_minutes: int = 5

    def as_metric(self, label: str | None = None) -> cloudwatch.Metric:
        """Returns the metric for a graph. `label` is the name of its line."""
        return cloudwatch.Metric(
            label=label,
            namespace=self.namespace,
            metric_name=self.name,
            dimensions_map=dict(self.dimensions),
            statistic=self.statistic,
            period=_minutes(self.period_minutes),
        )


@dataclass(frozen=True, kw_only=True)
class MetricQuery:
    """A Metrics Insights query.

    Attributes:
        expression: the query.
        period_minutes: the period in minutes.
    """

    expression: str
    period_minutes: int = 5


def live_sessions_metric() -> MetricData:
    """Returns the maximum number of live sessions in the account. AgentCore does not publish it for an interpreter."""
    return MetricData(
        namespace=AGENTCORE_NAMESPACE,
        name="ActiveSessionCount",
        dimensions={"Service": SERVICE},
        statistic="Maximum",
    )


def vcpu_hours_metric() -> MetricData:
    """Returns the vCPU hours that all interpreters of the account used in one hour. It is up to an hour late."""
    return MetricData(
        namespace=AGENTCORE_NAMESPACE, name=Usage.CPU.value, dimensions={"Service": SERVICE}, period_minutes=60
    )


def lambda_throttles_metric() -> MetricData:
    """Returns the number of invocations of any function of the account that Lambda throttled."""
    return MetricData(namespace="AWS/Lambda", name="Throttles", dimensions={})


def account_throttles_metric() -> MetricQuery:
    """Returns the number of throttled AgentCore calls on all interpreters."""
    query = f'SELECT SUM(Throttles) FROM SCHEMA("{AGENTCORE_NAMESPACE}", Operation, Resource)'  # noqa: S608 - no SQL
    return MetricQuery(expression=query)


def matched_events_metric(rule_name: str) -> MetricData:
    """Returns the number of events that an EventBridge rule of the default bus matched.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    """
    return MetricData(namespace="AWS/Events", name="MatchedEvents", dimensions={"RuleName": rule_name})


def execution_metric(state_machine_arn: str, name: str, statistic: str = "Sum") -> MetricData:
    """Returns a metric of a state machine's executions.

    https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html

    Args:
        state_machine_arn: the state machine.
        name: a count such as `ExecutionsFailed`, or `ExecutionTime` in milliseconds.
        statistic: the statistic over one period. Default: `Sum`.
    """
    dimensions = {"StateMachineArn": state_machine_arn}
    return MetricData(namespace="AWS/States", name=name, dimensions=dimensions, statistic=statistic)


def blocked_names_metric(rule_group_id: str, domain_list_id: str) -> MetricData:
    """Returns the number of DNS queries that matched a domain list of a DNS firewall, such as the list that it blocks.

    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-resolver-dns-firewall-with-cloudwatch.html
    """
    return MetricData(
        namespace="AWS/Route53Resolver",
        name="FirewallRuleQueryVolume",
        dimensions={"FirewallRuleGroupId": rule_group_id, "FirewallDomainListId": domain_list_id},
    )


def run_count_metric(service: str, metric: contract.Metric) -> MetricData:
    """Returns a count that the session function of a service publishes."""
    return MetricData(namespace=contract.NAMESPACE, name=metric.value, dimensions={contract.SERVICE_DIMENSION: service})


def failed_runs_by_error(service: str) -> cloudwatch.IMetric:
    """Returns the number of failed runs of a service, with a line for each name of an error."""
    schema = f"{contract.NAMESPACE},{contract.SERVICE_DIMENSION},{contract.ERROR_DIMENSION}"
    terms = f'MetricName="{contract.FAILED_RUNS}" {contract.SERVICE_DIMENSION}="{service}"'
    expression = f"SEARCH('{{{schema}}} {terms}', 'Sum', 300)"
    return cast("cloudwatch.IMetric", cloudwatch.MathExpression(expression=expression, using_metrics={}, label=""))


def run_metric(service: str, metric: contract.Metric, label: str | None = None) -> cloudwatch.Metric:
    """Returns a count that a session function publishes, for a graph.

    Args:
        service: the `service` of the session function.
        metric: the metric's name in the contract.
        label: name of the line in the graph. Default: the metric's name.
    """
    return run_count_metric(service, metric).as_metric(label)
