"""What is measured of a tenant, one function a metric: which namespace, which dimensions, which statistic.

Not what AgentCore measures of one interpreter, which is asked of it (`interpreter_access`), not what is shown
(`dashboard`) and not what raises an alarm (`alarms`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from sandpiper_contract import metrics as contract

if TYPE_CHECKING:
    from sandpiper_constructs.run_code_workflow import RunCodeWorkflow

AGENTCORE_NAMESPACE = "AWS/Bedrock-AgentCore"
"""https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-tool-metrics.html"""
PERIOD = Duration.minutes(5)


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
