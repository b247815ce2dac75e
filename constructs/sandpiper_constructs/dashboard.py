"""A tenant's dashboard: its widgets and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from sandpiper_constructs.metrics import (
    Operation,
    OperationMetric,
    Usage,
    execution_metric,
    failed_runs_by_error,
    run_metric,
)
from sandpiper_contract.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk.interfaces.aws_cloudwatch import IAlarmRef

    from sandpiper_constructs.interpreter_access import CodeInterpreterBase
    from sandpiper_constructs.session_workflow import SessionWorkflow

DASHBOARD_WIDTH = 24
"""Width of a dashboard in CloudWatch's grid units."""
EXECUTIONS = {
    "ExecutionsStarted": "started",
    "ExecutionsSucceeded": "succeeded",
    "ExecutionsFailed": "failed",
    "ExecutionsTimedOut": "timed out",
    "ExecutionsAborted": "stopped",
}
OPERATIONS = {Operation.START: "start", Operation.INVOKE: "invoke", Operation.STOP: "stop"}
OPERATION_GRAPHS = {
    "Calls": (OperationMetric.INVOCATIONS,),
    "Latency p90 (ms)": (OperationMetric.LATENCY,),
    "Throttled and failed calls": (
        OperationMetric.THROTTLES,
        OperationMetric.USER_ERRORS,
        OperationMetric.SYSTEM_ERRORS,
    ),
}
USAGE_GRAPHS = {"vCPU hours": Usage.CPU, "Memory (GB hours)": Usage.MEMORY}


class TenantDashboard(Construct):
    """Creates a dashboard with a tenant's alarms, runs, AgentCore calls by interpreter, and billed usage.

    Example:
        ```python
        TenantDashboard(
            stack,
            "Dashboard",
            name="claims",
            service="claims",
            workflow=workflow,
            interpreters={"python": interpreter},
            alarms=alarms.alarms,
        )
        ```

    Attributes:
        dashboard_name: the dashboard's name.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name: str,
        service: str,
        workflow: SessionWorkflow,
        interpreters: Mapping[str, CodeInterpreterBase],
        other_workflows: Mapping[str, SessionWorkflow] | None = None,
        alarms: Sequence[IAlarmRef],
    ) -> None:
        """Creates the dashboard.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name: the dashboard's name, unique in the account.
            service: the `service` of the session function.
            workflow: the workflow whose executions are shown.
            interpreters: interpreters by key. The key is in the title of each graph.
            other_workflows: further workflows by name, whose executions are shown. Default: none.
            alarms: alarms whose state is shown.
        """
        super().__init__(scope, id)
        self.dashboard_name = name
        cloudwatch.Dashboard(
            self,
            "Resource",
            dashboard_name=name,
            widgets=[
                [cloudwatch.AlarmStatusWidget(title=f"Alarms: {service}", alarms=list(alarms), width=DASHBOARD_WIDTH)],
                _run_graphs(service, workflow),
                *([_other_graphs(other_workflows)] if other_workflows else []),
                *(_interpreter_graphs(key, interpreter) for key, interpreter in interpreters.items()),
                _usage_graphs(interpreters),
            ],
        )


def _row(graphs: Mapping[str, Sequence[cloudwatch.IMetric]]) -> list[cloudwatch.IWidget]:
    """Returns graphs of equal width that fill one row."""
    width = DASHBOARD_WIDTH // len(graphs)
    return [cloudwatch.GraphWidget(title=title, left=list(lines), width=width) for title, lines in graphs.items()]


def _run_graphs(service: str, workflow: SessionWorkflow) -> list[cloudwatch.IWidget]:
    duration = execution_metric(workflow.state_machine.state_machine_arn, "ExecutionTime", "Average")
    return _row(
        {
            "Workflow executions": _execution_lines(workflow),
            "Execution time (ms)": [duration.as_metric("average")],
            "Runs": [run_metric(service, metric) for metric in Metric],
            "Failed runs by error": [failed_runs_by_error(service)],
        }
    )


def _other_graphs(workflows: Mapping[str, SessionWorkflow]) -> list[cloudwatch.IWidget]:
    return _row({f"Executions of {name}": _execution_lines(workflow) for name, workflow in workflows.items()})


def _execution_lines(workflow: SessionWorkflow) -> list[cloudwatch.Metric]:
    arn = workflow.state_machine.state_machine_arn
    return [execution_metric(arn, name).as_metric(label) for name, label in EXECUTIONS.items()]


def _interpreter_graphs(key: str, interpreter: CodeInterpreterBase) -> list[cloudwatch.IWidget]:
    return _row(
        {
            f"{key} ({interpreter.network}): {title}": [
                interpreter.metric(metric, operation=operation, label=f"{verb} {metric.value}")
                for metric in metrics
                for operation, verb in OPERATIONS.items()
            ]
            for title, metrics in OPERATION_GRAPHS.items()
        }
    )


def _usage_graphs(interpreters: Mapping[str, CodeInterpreterBase]) -> list[cloudwatch.IWidget]:
    return _row(
        {
            f"{title} (up to an hour late)": [
                interpreter.metric_usage(usage, label=key) for key, interpreter in interpreters.items()
            ]
            for title, usage in USAGE_GRAPHS.items()
        }
    )
