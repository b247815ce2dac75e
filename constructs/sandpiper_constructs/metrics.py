"""What is measured of a tenant, one function a metric: which namespace, which dimensions, which statistic.

Not what AgentCore measures of one interpreter, which is asked of it (`interpreter_access`), not what is shown
(`dashboard`) and not what raises an alarm (`alarms`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, cast

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from sandpiper_contract import metrics as contract

if TYPE_CHECKING:
    from sandpiper_constructs.run_code_workflow import RunCodeWorkflow

AGENTCORE_NAMESPACE = "AWS/Bedrock-AgentCore"
"""https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-tool-metrics.html"""
PERIOD = Duration.minutes(5)
SERVICE = "AgentCore.CodeInterpreter"
SUM, AVERAGE, MAXIMUM = cloudwatch.Stats.SUM, cloudwatch.Stats.AVERAGE, cloudwatch.Stats.MAXIMUM
PERCENTILE_90 = cloudwatch.Stats.percentile(90)
"""Asked of the CDK once: a dashboard has hundreds of lines, and each question goes to another process."""


class Operation(StrEnum):
    """AgentCore's operations as its metrics name them."""

    START = "StartCodeInterpreterSession"
    INVOKE = "InvokeCodeInterpreter"
    STOP = "StopCodeInterpreterSession"
    SESSION = "CodeInterpreterSession"
    """A session from its start to its end, which Duration is measured of."""


class OperationMetric(StrEnum):
    """What AgentCore measures of each operation. Latency is in milliseconds, the first four are counts."""

    INVOCATIONS = "Invocations"
    THROTTLES = "Throttles"
    SYSTEM_ERRORS = "SystemErrors"
    USER_ERRORS = "UserErrors"
    LATENCY = "Latency"
    DURATION = "Duration"


class Usage(StrEnum):
    """What AgentCore bills, up to an hour late."""

    CPU = "CPUUsed-vCPUHours"
    MEMORY = "MemoryUsed-GBHours"


def execution_metric(workflow: RunCodeWorkflow, name: str, label: str | None = None) -> cloudwatch.Metric:
    """A count of executions, such as ExecutionsFailed, or ExecutionTime in milliseconds.

    An alarm's metric has no label: with one the CDK writes the form of metric math, which the embedded AWS refuses.
    """
    statistic = AVERAGE if name == "ExecutionTime" else SUM
    return workflow.state_machine.metric(name, label=label, statistic=statistic, period=PERIOD)


def live_sessions_metric() -> cloudwatch.Metric:
    """The most sessions that lived at once, of all interpreters of the account: AgentCore counts no others."""
    return cloudwatch.Metric(
        namespace=AGENTCORE_NAMESPACE,
        metric_name="ActiveSessionCount",
        dimensions_map={"Service": SERVICE},
        statistic=MAXIMUM,
        period=PERIOD,
    )


def refused_functions_metric() -> cloudwatch.Metric:
    """How often Lambda refused to start a function of the account, whichever, because too many ran."""
    return cloudwatch.Metric(namespace="AWS/Lambda", metric_name="Throttles", statistic=SUM, period=PERIOD)


def account_throttles_metric() -> cloudwatch.IMetric:
    """Calls that AgentCore refused for their rate, on all interpreters: a query, which the embedded AWS refuses."""
    query = 'SELECT SUM(Throttles) FROM SCHEMA("AWS/Bedrock-AgentCore", Operation, Resource)'
    return cast("cloudwatch.IMetric", cloudwatch.MathExpression(expression=query, using_metrics={}, period=PERIOD))


def run_metric(service: str, metric: contract.Metric, label: str | None = None) -> cloudwatch.Metric:
    """A count that the session function emits. An alarm's metric has no label, as an execution's."""
    return cloudwatch.Metric(
        label=label,
        namespace=contract.NAMESPACE,
        metric_name=metric.value,
        dimensions_map={contract.SERVICE_DIMENSION: service},
        statistic=SUM,
        period=PERIOD,
    )
