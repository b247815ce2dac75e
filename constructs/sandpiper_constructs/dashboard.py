"""The dashboard of a tenant: which widgets, in which order.

Not what they measure, which is in `metrics`, nor when somebody is called, which is in `alarms`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from sandpiper_constructs.metrics import Operation, OperationMetric, Usage, execution_metric, run_metric
from sandpiper_contract.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_constructs.interpreter_access import ICodeInterpreter
    from sandpiper_constructs.run_code_workflow import RunCodeWorkflow

COLUMNS = 24
"""A dashboard's width, in CloudWatch's units."""
EXECUTIONS = {
    "ExecutionsStarted": "started",
    "ExecutionsSucceeded": "succeeded",
    "ExecutionsFailed": "failed",
    "ExecutionsTimedOut": "timed out",
}
OPERATIONS = {Operation.START: "start", Operation.INVOKE: "invoke", Operation.STOP: "stop"}
OPERATION_GRAPHS = {
    "Calls": (OperationMetric.INVOCATIONS,),
    "Latency, 90 of 100 below (ms)": (OperationMetric.LATENCY,),
    "Refused and failed calls": (OperationMetric.THROTTLES, OperationMetric.USER_ERRORS, OperationMetric.SYSTEM_ERRORS),
}
USAGE_GRAPHS = {"vCPU hours": Usage.CPU, "Memory (GB hours)": Usage.MEMORY}


class TenantDashboard(Construct):
    """Alarms first, then runs, then each interpreter as AgentCore sees it, then what is billed."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        name: str,
        service: str,
        workflow: RunCodeWorkflow,
        interpreters: Mapping[str, ICodeInterpreter],
        alarms: Sequence[cloudwatch.Alarm],
    ) -> None:
        """`name` is the dashboard's, unique in its account; `service` is the session function's."""
        super().__init__(scope, id)
        self.dashboard_name = name
        cloudwatch.Dashboard(
            self,
            "Resource",
            dashboard_name=name,
            widgets=[
                [cloudwatch.AlarmStatusWidget(title=f"Alarms of {service}", alarms=list(alarms), width=COLUMNS)],
                _run_graphs(service, workflow),
                *(_interpreter_graphs(key, interpreter) for key, interpreter in interpreters.items()),
                _usage_graphs(interpreters),
            ],
        )


def _row(graphs: Mapping[str, Sequence[cloudwatch.IMetric]]) -> list[cloudwatch.IWidget]:
    """Graphs beside each other, as wide as they can be together."""
    width = COLUMNS // len(graphs)
    return [cloudwatch.GraphWidget(title=title, left=list(lines), width=width) for title, lines in graphs.items()]


def _run_graphs(service: str, workflow: RunCodeWorkflow) -> list[cloudwatch.IWidget]:
    return _row(
        {
            "Workflow executions": [execution_metric(workflow, name, label) for name, label in EXECUTIONS.items()],
            "Execution time (ms)": [execution_metric(workflow, "ExecutionTime", "average")],
            "Runs": [run_metric(service, metric) for metric in Metric],
        }
    )


def _interpreter_graphs(key: str, interpreter: ICodeInterpreter) -> list[cloudwatch.IWidget]:
    return _row(
        {
            f"{key} ({interpreter.network}): {title}": [
                interpreter.metric(metric, operation=operation, label=f"{word} {metric.value}")
                for metric in metrics
                for operation, word in OPERATIONS.items()
            ]
            for title, metrics in OPERATION_GRAPHS.items()
        }
    )


def _usage_graphs(interpreters: Mapping[str, ICodeInterpreter]) -> list[cloudwatch.IWidget]:
    return _row(
        {
            f"{title}, up to an hour late": [
                interpreter.metric_usage(usage, label=key) for key, interpreter in interpreters.items()
            ]
            for title, usage in USAGE_GRAPHS.items()
        }
    )
