"""Metrics of a tenant and of the account: namespace, dimensions, statistic and period of each.

Metrics of one interpreter are methods of `interpreter_access.CodeInterpreterBase`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, cast

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from sandpiper_contract import metrics as contract

if TYPE_CHECKING:
    from aws_cdk import aws_stepfunctions as sfn

AGENTCORE_NAMESPACE = "AWS/Bedrock-AgentCore"
"""https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-tool-metrics.html"""
PERIOD = Duration.minutes(5)
SERVICE = "AgentCore.CodeInterpreter"
SUM, AVERAGE, MAXIMUM = cloudwatch.Stats.SUM, cloudwatch.Stats.AVERAGE, cloudwatch.Stats.MAXIMUM
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


def execution_metric(state_machine: sfn.IStateMachine, name: str, label: str | None = None) -> cloudwatch.Metric:
    """Returns a metric of a state machine's executions.

    Args:
        state_machine: the state machine.
        name: a count such as `ExecutionsFailed`, or `ExecutionTime` in milliseconds.
        label: name of the line in a graph. Omit it for an alarm: the CDK writes a labelled metric as metric math, which
            the embedded AWS does not evaluate.
    """
    statistic = AVERAGE if name == "ExecutionTime" else SUM
    return state_machine.metric(name, label=label, statistic=statistic, period=PERIOD)


def live_sessions_metric() -> cloudwatch.Metric:
    """Returns the maximum number of live sessions in the account. AgentCore does not publish it for an interpreter."""
    return cloudwatch.Metric(
        namespace=AGENTCORE_NAMESPACE,
        metric_name="ActiveSessionCount",
        dimensions_map={"Service": SERVICE},
        statistic=MAXIMUM,
        period=PERIOD,
    )


def lambda_throttles_metric() -> cloudwatch.Metric:
    """Returns the number of invocations of any function of the account that Lambda throttled."""
    return cloudwatch.Metric(namespace="AWS/Lambda", metric_name="Throttles", statistic=SUM, period=PERIOD)


def account_throttles_metric() -> cloudwatch.IMetric:
    """Returns the number of throttled AgentCore calls on all interpreters.

    It is a Metrics Insights query, which the embedded AWS does not evaluate.
    """
    query = f'SELECT SUM(Throttles) FROM SCHEMA("{AGENTCORE_NAMESPACE}", Operation, Resource)'  # noqa: S608 - no SQL
    return cast("cloudwatch.IMetric", cloudwatch.MathExpression(expression=query, using_metrics={}, period=PERIOD))


def run_metric(service: str, metric: contract.Metric, label: str | None = None) -> cloudwatch.Metric:
    """Returns a count that a session function publishes.

    Args:
        service: the `service` of the session function.
        metric: the metric's name in the contract.
        label: name of the line in a graph. Omit it for an alarm, as in `execution_metric`.
    """
    return cloudwatch.Metric(
        label=label,
        namespace=contract.NAMESPACE,
        metric_name=metric.value,
        dimensions_map={contract.SERVICE_DIMENSION: service},
        statistic=SUM,
        period=PERIOD,
    )
