"""A tenant's dashboard: what runs, what fails, how long it takes, which sessions remain, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from constructs import Construct

from sandpiper_constructs.cdk_values import location_of
from sandpiper_constructs.dashboard_body import Row, Widget, create_dashboard
from sandpiper_constructs.dashboard_widgets import (
    Line,
    alarm_rows,
    graph,
    heading,
    log_table,
    numbers,
    percentiles,
    text,
)
from sandpiper_constructs.interpreter_dashboard import interpreter_rows
from sandpiper_constructs.log_queries import FAILURES_BY_CAUSE, MAX_MEMORY, SLOWEST_RUNS
from sandpiper_constructs.metrics import (
    execution_metric,
    function_metric,
    run_count_metric,
    search_expression,
    usage_metric,
)
from sandpiper_contract import metric_table as table
from sandpiper_contract.metrics import Metric
from sandpiper_contract.prices import LIST_PRICES, Prices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_constructs.interpreter_access import CodeInterpreterBase
    from sandpiper_constructs.session_function import SessionFunction
    from sandpiper_constructs.session_workflow import SessionWorkflow

EXECUTIONS = {
    table.EXECUTIONS_STARTED: "started",
    table.EXECUTIONS_SUCCEEDED: "succeeded",
    table.EXECUTIONS_FAILED: "failed",
    table.EXECUTIONS_TIMED_OUT: "timed out",
    table.EXECUTIONS_ABORTED: "stopped",
}
TOTALS = {
    Metric.RUNS: "operations",
    Metric.ERRORS: "without a result",
    Metric.PROGRAMS_FAILED: "programs with exit code not 0",
    Metric.THROTTLED: "throttled",
    Metric.SESSIONS_NOT_STOPPED: "sessions leaked",
    Metric.DUPLICATE_EXECUTIONS: "code run twice (always 0)",
    Metric.ESTIMATED_USD: "estimated cost in USD",
}
SESSIONS = {
    Metric.SESSIONS_STARTED: "started",
    Metric.SESSIONS_ENDED: "stopped",
    Metric.SESSIONS_STOPPED: "left by failed or stopped executions",
    Metric.SESSIONS_SWEPT: "found by the sweep only",
    Metric.SESSIONS_NOT_STOPPED: "leaked",
}
FILES = {Metric.FILES_KEPT: "returned", Metric.FILES_SKIPPED: "skipped"}
CALLS_PER_OPERATION = "IF(operations > 0, calls / operations)"
HOUR_SECONDS = 3_600


class TenantDashboard(Construct):
    """Creates a dashboard of a tenant, with a section for each interpreter.

    Example:
        ```python
        TenantDashboard(
            stack,
            "Dashboard",
            name="claims",
            service="claims",
            session_function=function,
            workflows={"run-code": workflow},
            interpreters={"python": interpreter},
            alarm_arns=alarms.alarm_arns,
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
        session_function: SessionFunction,
        workflows: Mapping[str, SessionWorkflow],
        interpreters: Mapping[str, CodeInterpreterBase],
        alarm_arns: Sequence[str],
        prices: Prices = LIST_PRICES,
        notes: str = "",
    ) -> None:
        """Creates the dashboard.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name: the dashboard's name, unique in the account.
            service: the `service` of the session function.
            session_function: the session function.
            workflows: the workflows by name, whose executions are shown.
            interpreters: interpreters by key. The key is the heading of the interpreter's section.
            alarm_arns: alarms whose state is shown.
            prices: the prices of the usage that AgentCore measures. Default: list prices.
            notes: Markdown at the top, such as the commands for a closer look. Default: none.

        Raises:
            ValueError: the dashboard exceeds a limit of CloudWatch.
        """
        super().__init__(scope, id)
        self.dashboard_name = name
        view = _TenantView(service=service, region=location_of(scope).region, function=session_function)
        rows: list[Row] = [
            *([text(notes)] if notes else []),
            *alarm_rows(f"Alarms of {service}: red needs action", alarm_arns),
            *view.runs(workflows),
            *view.failures(),
            *view.durations(workflows),
            *view.sessions_and_cost(),
            view.costs(interpreters, prices),
            *view.function_rows(),
        ]
        for key, interpreter in interpreters.items():
            rows += interpreter_rows(f"Interpreter {key} ({interpreter.network})", interpreter, view.region)
        create_dashboard(self, name, rows)


@dataclass(frozen=True, kw_only=True)
class _TenantView:
    """The sections of a tenant's dashboard, in the order of the questions of a user."""

    service: str
    region: str
    function: SessionFunction

    def runs(self, workflows: Mapping[str, SessionWorkflow]) -> list[Row]:
        """What runs: totals, and the executions of each workflow."""
        graphs = [
            graph(
                f"Executions of {name} (count in 5 minutes)",
                [
                    Line(metric=execution_metric(each.state_machine_arn, row), label=label)
                    for row, label in EXECUTIONS.items()
                ],
                region=self.region,
                width=8,
                unit="executions",
            )
            for name, each in workflows.items()
        ]
        totals = numbers("Totals in the selected time range", self._own(TOTALS), region=self.region, width=24)
        return [
            heading("What runs"),
            (totals,),
            *(tuple(graphs[start : start + 3]) for start in range(0, len(graphs), 3)),
        ]

    def failures(self) -> list[Row]:
        """What fails: errors by name, skipped files by reason, and causes from the log."""
        by_error = Line(metric=search_expression(table.FAILED_RUNS_BY_ERROR, self.service), label="")
        by_reason = Line(metric=search_expression(table.FILES_SKIPPED_BY_REASON, self.service), label="")
        widgets = (
            self._graph("Failed runs by error (count in 5 minutes)", [by_error], "operations"),
            self._graph("Skipped files by reason (count in 5 minutes)", [by_reason], "files"),
            self._log("Failures by cause (selected time range)", FAILURES_BY_CAUSE.line),
        )
        return [heading("What fails"), widgets]

    def durations(self, workflows: Mapping[str, SessionWorkflow]) -> list[Row]:
        """How long it takes: the first workflow, the session function, and the slowest runs from the log."""
        name, workflow = next(iter(workflows.items()))
        time = execution_metric(workflow.state_machine_arn, table.EXECUTION_TIME)
        function = function_metric(self.function.function_name, table.FUNCTION_DURATION)
        widgets = (
            self._graph(f"Time of executions of {name} (ms)", percentiles(time), "ms"),
            self._graph("Time of operations in the session function (ms)", percentiles(function), "ms"),
            self._log("Slowest runs (selected time range, ms)", SLOWEST_RUNS.line),
        )
        return [heading("How long it takes"), widgets]

    def sessions_and_cost(self) -> list[Row]:
        """Which sessions remain, and what it costs."""
        calls = [
            Line(metric=run_count_metric(self.service, Metric.CALLS), id="calls", is_visible=False),
            Line(metric=run_count_metric(self.service, Metric.RUNS), id="operations", is_visible=False),
            Line(metric=CALLS_PER_OPERATION, label="AgentCore calls of an operation"),
        ]
        usd, seconds = (run_count_metric(self.service, each) for each in (Metric.ESTIMATED_USD, Metric.SESSION_SECONDS))
        cost = [Line(metric=usd, label="USD", period_seconds=HOUR_SECONDS)]
        live = [Line(metric=seconds, label="session seconds", period_seconds=HOUR_SECONDS)]
        received = Line(metric=run_count_metric(self.service, Metric.BYTES_KEPT), label="bytes", is_on_the_right=True)
        return [
            heading("Which sessions remain, and what it costs"),
            (
                self._graph("Sessions: started and stopped (count in 5 minutes)", self._own(SESSIONS), "sessions"),
                self._graph("Estimated cost at list prices (USD an hour)", cost, "USD"),
                self._graph("Time of sessions (seconds an hour)", live, "seconds"),
            ),
            (
                self._graph("AgentCore calls of an operation (average)", calls, "calls"),
                self._graph(
                    "Files (count) and their size (bytes)", [*self._own(FILES), received], "files", right_unit="bytes"
                ),
                self._log("Memory of the session function (MB)", MAX_MEMORY.line),
            ),
        ]

    def costs(self, interpreters: Mapping[str, CodeInterpreterBase], prices: Prices) -> Row:
        """Who costs what, and how far the estimate is from the usage that AgentCore measured later."""
        by_interpreter, by_workflow = (
            Line(metric=search_expression(rows[Metric.ESTIMATED_USD], self.service), label="")
            for rows in (table.COSTS_BY_INTERPRETER, table.COSTS_BY_WORKFLOW)
        )
        return (
            self._graph("Estimated cost by interpreter (USD in 5 minutes)", [by_interpreter], "USD"),
            self._graph("Estimated cost by workflow (USD in 5 minutes)", [by_workflow], "USD"),
            self._graph(
                "AgentCore: measured and estimated cost (USD an hour, up to an hour late)",
                self._difference(interpreters, prices),
                "USD",
            ),
        )

    def _difference(self, interpreters: Mapping[str, CodeInterpreterBase], prices: Prices) -> list[Line]:
        """Returns the measured cost of all interpreters, the estimate, and the measured cost minus the estimate."""
        usage, terms = list[Line](), list[str]()
        for prefix, row, price in (
            ("v", table.VCPU_HOURS, prices.vcpu_hour),
            ("g", table.GB_HOURS, prices.gb_hour),
        ):
            ids = [f"{prefix}{number}" for number in range(len(interpreters))]
            usage += [
                Line(metric=usage_metric(each.interpreter_arn, row), id=name, is_visible=False)
                for name, each in zip(ids, interpreters.values(), strict=True)
            ]
            terms.append(f"{price:f} * ({' + '.join(f'FILL({name}, 0)' for name in ids)})")
        estimated = run_count_metric(self.service, Metric.ESTIMATED_SESSION_USD)
        return [
            *usage,
            Line(metric=" + ".join(terms), id="measured", label="measured"),
            Line(metric=estimated, id="estimated", label="estimated", period_seconds=HOUR_SECONDS),
            Line(metric="measured - FILL(estimated, 0)", label="difference"),
        ]

    def function_rows(self) -> list[Row]:
        """The session function: concurrency, errors and throttles."""
        name = self.function.function_name
        concurrency = Line(metric=function_metric(name, table.FUNCTION_CONCURRENCY), label="at the same time")
        faults = [
            Line(metric=function_metric(name, row), label=label)
            for row, label in (
                (table.FUNCTION_INVOCATIONS, "invocations"),
                (table.FUNCTION_ERRORS, "with an error"),
                (table.FUNCTION_THROTTLES, "throttled by Lambda"),
            )
        ]
        widgets = (
            self._graph("Concurrent invocations (maximum in 5 minutes)", [concurrency], "invocations", width=12),
            self._graph("Invocations (count in 5 minutes)", faults, "invocations", width=12),
        )
        return [heading("Session function (Lambda)"), widgets]

    def _own(self, labels: Mapping[Metric, str]) -> list[Line]:
        """Returns a line for each metric of the session function."""
        return [Line(metric=run_count_metric(self.service, metric), label=label) for metric, label in labels.items()]

    def _graph(
        self, title: str, lines: Sequence[Line], unit: str, width: int = 8, right_unit: str | None = None
    ) -> Widget:
        return graph(title, lines, region=self.region, width=width, unit=unit, right_unit=right_unit)

    def _log(self, title: str, query: str) -> Widget:
        return log_table(title, query, self.function.log_group_name, region=self.region, width=8)
