"""The metrics of one invocation of the session function, in CloudWatch's embedded metric format."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import EphemeralMetrics, Metrics, MetricUnit, single_metric

from code_runner.agentcore.counted_clients import CountedClients
from code_runner.agentcore.service_errors import is_access_denied
from code_runner.cost import configured_prices, function_usd
from sandpiper_contract.costs import session_usd
from sandpiper_contract.errors import CodeFailed, RunError, Throttled
from sandpiper_contract.metrics import (
    ERROR_DIMENSION,
    FAILED_RUNS,
    INTERPRETER_DIMENSION,
    NAMESPACE,
    REASON_DIMENSION,
    UNITS,
    WORKFLOW_DIMENSION,
    Metric,
)
from sandpiper_contract.results import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.agentcore.boto_clients import Clients
    from sandpiper_contract.files import OutputFile, SkippedFile
    from sandpiper_contract.handles import SessionHandle
    from sandpiper_contract.records import Record
    from sandpiper_contract.run import Run

PRICES = configured_prices()
metrics = Metrics(namespace=NAMESPACE)
"""The metrics with the dimension `service`. `metrics.log_metrics` writes them to the log."""
STANDARD_TRANSITIONS = 1
"""State transitions of a standard workflow for one invocation. Its other states are not known here."""


class InvocationMetrics:
    """Counts what one invocation does.

    Args:
        clients: The clients that send the calls.
        interpreters: The tenant's interpreter identifiers by key.

    Attributes:
        clients: The clients that the invocation uses, which count its calls and sessions.
    """

    def __init__(self, clients: Clients, interpreters: Mapping[str, str]) -> None:
        self.clients = CountedClients(clients)
        self._began = time.monotonic()
        self._execution_seconds = 0.0
        self._joined_session_seconds = 0.0
        self._keys = {identifier: key for key, identifier in interpreters.items()}
        self._run: Run | None = None
        self._joined_key: str | None = None
        self.count(Metric.RUNS)
        self.count(Metric.DUPLICATE_EXECUTIONS, 0)

    def count(self, metric: Metric, value: float = 1) -> None:
        """Adds a value to a metric."""
        metrics.add_metric(metric.value, UNITS.get(metric, MetricUnit.Count), value)

    def on_request(self, run: Run, request: Record) -> None:
        """Sets the workflow and, for a request for an open session, the interpreter that the cost is counted for."""
        self._run = run
        handle: SessionHandle | None = getattr(getattr(request, "task", request), "session", None)
        if handle is not None and handle.interpreter in self._keys.values():  # an unknown one must create no metric
            self._joined_key = handle.interpreter

    def on_joined_session_ended(self, seconds: float) -> None:
        """Counts how long a session was live that an earlier invocation started and this one stopped."""
        self._joined_session_seconds += seconds

    def on_result(self, result: Record) -> None:
        """Counts the files of a run and the time that its program ran."""
        self._execution_seconds += (getattr(result, "execution_time_ms", None) or 0) / 1000
        files: tuple[OutputFile, ...] = getattr(result, "files", ())
        skipped: tuple[SkippedFile, ...] = getattr(result, "skipped", ())
        self.count(Metric.FILES_KEPT, len(files))
        self.count(Metric.BYTES_KEPT, sum(file.size for file in files))
        self.count(Metric.FILES_SKIPPED, len(skipped))
        for reason, number in Counter(file.reason.name for file in skipped).items():
            _count_with(Metric.FILES_SKIPPED.value, REASON_DIMENSION, reason, number)

    def on_duplicate(self) -> None:
        """Counts a run whose code another attempt has sent too."""
        self.count(Metric.DUPLICATE_EXECUTIONS)

    def on_error(self, error: RunError) -> None:
        """Counts an operation that ended with an error, and the error by its name."""
        if isinstance(error, CodeFailed):
            self.count(Metric.PROGRAMS_FAILED)
        else:
            self.count(Metric.THROTTLED if isinstance(error, Throttled) else Metric.ERRORS)
        if is_access_denied(error):
            self.count(Metric.ACCESS_DENIED)
        _count_with(FAILED_RUNS, ERROR_DIMENSION, type(error).__name__, 1)

    def finish(self) -> Usage:
        """Counts calls, sessions and cost. Returns the usage. Call it once, at the end."""
        clients = self.clients
        session_seconds = clients.session_seconds + self._joined_session_seconds
        sessions = session_usd(
            execution_seconds=self._execution_seconds, session_seconds=session_seconds, prices=PRICES
        )
        function = function_usd(
            seconds=time.monotonic() - self._began,
            invocations=1,
            state_transitions=STANDARD_TRANSITIONS if self._run and self._run.is_standard else 0,
            prices=PRICES,
        )
        usage = Usage(clients.calls, round(session_seconds, 3), round(sessions + function, 9))
        self.count(Metric.CALLS, clients.calls)
        self.count(Metric.SESSIONS_STARTED, clients.sessions_started)
        self.count(Metric.SESSIONS_ENDED, clients.sessions_ended)
        self.count(Metric.SESSION_SECONDS, usage.session_seconds)
        costs = {Metric.ESTIMATED_USD: usage.estimated_usd, Metric.ESTIMATED_SESSION_USD: round(sessions, 9)}
        for metric, usd in costs.items():
            self.count(metric, usd)
        for dimension, value in self._cost_dimensions().items():
            _count_costs(costs, dimension, value)
        return usage

    def _cost_dimensions(self) -> dict[str, str]:
        """Returns the interpreter and the workflow that the cost is counted for, as far as they are known."""
        found = {
            INTERPRETER_DIMENSION: self._joined_key or self._keys.get(self.clients.interpreter_id or ""),
            WORKFLOW_DIMENSION: self._run and self._run.workflow,
        }
        return {dimension: value for dimension, value in found.items() if value}


def _count_with(name: str, dimension: str, value: str, number: int) -> None:
    """Adds a metric with one more dimension, in a separate log line, because the other metrics do not have it."""
    with single_metric(name=name, unit=MetricUnit.Count, value=number, namespace=NAMESPACE) as metric:
        metric.add_dimension(dimension, value)


def _count_costs(costs: Mapping[Metric, float], dimension: str, value: str) -> None:
    """Adds the metrics of the cost with one more dimension, in a separate log line."""
    line = EphemeralMetrics(namespace=NAMESPACE)
    line.add_dimension(dimension, value)
    for metric, usd in costs.items():
        line.add_metric(metric.value, UNITS[metric], usd)
    line.flush_metrics()
