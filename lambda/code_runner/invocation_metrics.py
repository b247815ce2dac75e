"""The metrics of one invocation of the session function, in CloudWatch's embedded metric format."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

from code_runner.agentcore.counted_clients import CountedClients
from code_runner.agentcore.service_errors import is_access_denied
from code_runner.cost import estimated_usd
from sandpiper_contract.errors import CodeFailed, RunError, Throttled
from sandpiper_contract.metrics import ERROR_DIMENSION, FAILED_RUNS, NAMESPACE, REASON_DIMENSION, UNITS, Metric

if TYPE_CHECKING:
    from code_runner.agentcore.boto_clients import Clients
    from sandpiper_contract.files import OutputFile, SkippedFile
    from sandpiper_contract.records import Record

metrics = Metrics(namespace=NAMESPACE)
"""The metrics with the dimension `service`. `metrics.log_metrics` writes them to the log."""
TRANSITIONS = 1
"""State transitions of a workflow for one invocation. Its other states are not known here."""


class InvocationMetrics:
    """Counts what one invocation does.

    Args:
        clients: The clients that send the calls.

    Attributes:
        clients: The clients that the invocation uses, which count its calls and sessions.
    """

    def __init__(self, clients: Clients) -> None:
        self.clients = CountedClients(clients)
        self._began = time.monotonic()
        self._execution_seconds = 0.0
        self.count(Metric.RUNS)
        self.count(Metric.DUPLICATE_EXECUTIONS, 0)

    def count(self, metric: Metric, value: float = 1) -> None:
        """Adds a value to a metric."""
        metrics.add_metric(metric.value, UNITS.get(metric, MetricUnit.Count), value)

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

    def finish(self) -> dict[str, float]:
        """Counts calls, sessions and cost. Returns the usage for the log. Call it once, at the end."""
        clients = self.clients
        usd = estimated_usd(
            execution_seconds=self._execution_seconds,
            session_seconds=clients.session_seconds,
            function_seconds=time.monotonic() - self._began,
            state_transitions=TRANSITIONS,
        )
        self.count(Metric.CALLS, clients.calls)
        self.count(Metric.SESSIONS_STARTED, clients.sessions_started)
        self.count(Metric.SESSIONS_ENDED, clients.sessions_ended)
        self.count(Metric.SESSION_SECONDS, round(clients.session_seconds, 3))
        self.count(Metric.ESTIMATED_USD, usd)
        return {"calls": clients.calls, "sessionSeconds": round(clients.session_seconds, 3), "estimatedUsd": usd}


def _count_with(name: str, dimension: str, value: str, number: int) -> None:
    """Adds a metric with one more dimension, in a separate log line, because the other metrics do not have it."""
    with single_metric(name=name, unit=MetricUnit.Count, value=number, namespace=NAMESPACE) as metric:
        metric.add_dimension(dimension, value)
