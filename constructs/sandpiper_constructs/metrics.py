"""What is measured of a tenant, one function a metric: which namespace, which dimensions, which statistic.

Not what is shown (`dashboard`) and not what raises an alarm (`alarms`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from sandpiper_contract import metrics as contract

if TYPE_CHECKING:
    from sandpiper_constructs.interpreter import CodeInterpreter
    from sandpiper_constructs.run_code_workflow import RunCodeWorkflow

AGENTCORE_NAMESPACE = "AWS/Bedrock-AgentCore"
"""https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-tool-metrics.html"""
PERIOD = Duration.minutes(5)


class Operation(StrEnum):
    """AgentCore's operations as its metrics name them."""

    START = "StartCodeInterpreterSession"
    INVOKE = "InvokeCodeInterpreter"
    STOP = "StopCodeInterpreterSession"


class OperationMetric(StrEnum):
    """What AgentCore measures of each operation. Latency is in milliseconds, the others are counts."""

    INVOCATIONS = "Invocations"
    THROTTLES = "Throttles"
    SYSTEM_ERRORS = "SystemErrors"
    USER_ERRORS = "UserErrors"
    LATENCY = "Latency"


class Usage(StrEnum):
    """What AgentCore bills, up to an hour late."""

    CPU = "CPUUsed-vCPUHours"
    MEMORY = "MemoryUsed-GBHours"


def execution_metric(workflow: RunCodeWorkflow, name: str, label: str | None = None) -> cloudwatch.Metric:
    """A count of executions, such as ExecutionsFailed, or ExecutionTime in milliseconds.

    An alarm's metric has no label: with one the CDK writes the form of metric math, which the embedded AWS refuses.
    """
    statistic = cloudwatch.Stats.AVERAGE if name == "ExecutionTime" else cloudwatch.Stats.SUM
    return workflow.state_machine.metric(name, label=label, statistic=statistic, period=PERIOD)


def run_metric(service: str, metric: contract.Metric) -> cloudwatch.Metric:
    """A count that the session function emits."""
    return cloudwatch.Metric(
        namespace=contract.NAMESPACE,
        metric_name=metric.value,
        dimensions_map={contract.SERVICE_DIMENSION: service},
        statistic=cloudwatch.Stats.SUM,
        period=PERIOD,
    )


def operation_metric(
    interpreter: CodeInterpreter, operation: Operation, metric: OperationMetric, label: str
) -> cloudwatch.Metric:
    """What AgentCore measures of one operation on one interpreter."""
    statistic = cloudwatch.Stats.percentile(90) if metric is OperationMetric.LATENCY else cloudwatch.Stats.SUM
    return cloudwatch.Metric(
        namespace=AGENTCORE_NAMESPACE,
        metric_name=metric.value,
        dimensions_map={"Resource": interpreter.interpreter_arn, "Operation": operation.value},
        statistic=statistic,
        period=PERIOD,
        label=label,
    )


def usage_metric(interpreter: CodeInterpreter, usage: Usage, label: str) -> cloudwatch.Metric:
    """Hours of a vCPU or of a GB that an interpreter's sessions used."""
    return cloudwatch.Metric(
        namespace=AGENTCORE_NAMESPACE,
        metric_name=usage.value,
        dimensions_map={"Service": "AgentCore.CodeInterpreter", "Resource": interpreter.interpreter_arn},
        statistic=cloudwatch.Stats.SUM,
        period=Duration.hours(1),
        label=label,
    )
