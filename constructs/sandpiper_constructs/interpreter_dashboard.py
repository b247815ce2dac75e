"""Dashboards of interpreters: sessions, latency, errors and resources of each, in a section.

A dashboard for each interpreter would cost $3 a month and hide differences between them. So interpreters share a
dashboard: 20 of them have 140 widgets and 460 metrics, of 500 and 2,500 that CloudWatch allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack
from constructs import Construct

from sandpiper_constructs.dashboard_body import Row, create_dashboard
from sandpiper_constructs.dashboard_widgets import Line, graph, heading, percentiles
from sandpiper_constructs.metrics import Operation, operation_metric, usage_metric
from sandpiper_contract import metric_table as table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandpiper_constructs.interpreter_access import CodeInterpreterBase

OPERATIONS = {Operation.START: "start", Operation.INVOKE: "invoke", Operation.STOP: "stop"}
FAULTS = {table.THROTTLES: "throttled", table.USER_ERRORS: "user errors", table.SYSTEM_ERRORS: "system errors"}
WIDTH = 8


class InterpreterDashboard(Construct):
    """Creates a dashboard of interpreters, for an app without a session function and workflows.

    Example:
        ```python
        InterpreterDashboard(stack, "Interpreters", name="sandboxes", interpreters={"python": interpreter})
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
        interpreters: Mapping[str, CodeInterpreterBase],
    ) -> None:
        """Creates the dashboard.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name: the dashboard's name, unique in the account.
            interpreters: interpreters by the heading of their section.

        Raises:
            ValueError: the dashboard exceeds a limit of CloudWatch.
        """
        super().__init__(scope, id)
        self.dashboard_name = name
        region = Stack.of(self).region
        rows = [row for key, each in interpreters.items() for row in interpreter_rows(key, each, region)]
        create_dashboard(self, name, rows)


def interpreter_rows(title: str, interpreter: CodeInterpreterBase, region: str) -> list[Row]:
    """Returns the section of an interpreter."""
    arn = interpreter.interpreter_arn
    calls = [
        Line(metric=operation_metric(arn, table.INVOCATIONS, operation), label=verb)
        for operation, verb in OPERATIONS.items()
    ]
    faults = [
        Line(metric=operation_metric(arn, row, operation), label=f"{verb}: {fault}")
        for row, fault in FAULTS.items()
        for operation, verb in OPERATIONS.items()
    ]
    start, invoke = (operation_metric(arn, table.LATENCY, each) for each in (Operation.START, Operation.INVOKE))
    session = operation_metric(arn, table.SESSION_DURATION, Operation.SESSION)
    usage = [
        Line(metric=usage_metric(arn, table.VCPU_HOURS), label="vCPU hours"),
        Line(metric=usage_metric(arn, table.GB_HOURS), label="GB hours of memory", is_on_the_right=True),
    ]
    graphs = [
        graph(graph_title, lines, region=region, width=WIDTH, unit=unit, right_unit=right_unit)
        for graph_title, lines, unit, right_unit in (
            ("Calls by operation (count in 5 minutes)", calls, "calls", None),
            ("Failed and throttled calls (count in 5 minutes)", faults, "calls", None),
            ("Session duration, start to end", percentiles(session), "duration", None),
            ("Latency of invoke to the first token (ms)", percentiles(invoke), "ms", None),
            ("Latency of session start (ms)", percentiles(start), "ms", None),
            ("vCPU hours and GB hours (an hour, up to an hour late)", usage, "vCPU hours", "GB hours"),
        )
    ]
    return [heading(title), tuple(graphs[:3]), tuple(graphs[3:])]
