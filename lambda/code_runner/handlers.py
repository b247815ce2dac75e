"""Lambda's entry: the event becomes a typed request once, the run is called, its result goes back as JSON."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from code_runner.clients import AwsClients
from code_runner.run import Place
from code_runner.run import run_code as run
from sandpiper_contract import settings
from sandpiper_contract.errors import InvalidRequest, RunError, ServiceFault, Throttled
from sandpiper_contract.metrics import NAMESPACE, Metric
from sandpiper_contract.request import RunRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from sandpiper_contract.result import RunResult

logger = Logger()
metrics = Metrics(namespace=NAMESPACE)


PLACE = Place(
    interpreters=json.loads(os.environ[settings.INTERPRETERS]),
    bucket=os.environ[settings.BUCKET],
    prefix=os.environ[settings.PREFIX],
)
CLIENTS = AwsClients.default()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def run_code(event: dict[str, Any], context: LambdaContext) -> dict[str, object]:
    """Runs the code of `{"executionId": ARN, "request": {…}}` and returns a RunResult as JSON.

    Raises the contract's errors by name, which is what Step Functions matches; Lambda logs their messages, which is why
    those hold no code and no data.
    """
    _count(Metric.RUNS)
    try:
        result = _run(event, context)
    except RunError as error:
        _count(Metric.THROTTLED if isinstance(error, Throttled) else Metric.ERRORS)
        logger.warning("run refused or lost", extra={"error": type(error).__name__, "retryable": error.retryable})
        raise
    except Exception as error:
        _count(Metric.ERRORS)
        logger.exception("run failed by a fault of the session function")
        raise ServiceFault(f"a fault of the session function ({type(error).__name__}); the code may have run") from None
    _count(Metric.PROGRAMS_FAILED, int(result.exit_code != 0))
    _count(Metric.FILES_KEPT, len(result.files))
    _count(Metric.FILES_SKIPPED, len(result.skipped))
    logger.info("run done", extra={"exitCode": result.exit_code, "executionTimeMs": result.execution_time_ms})
    return result.to_json()


def _run(event: dict[str, Any], context: LambdaContext) -> RunResult:
    execution = event.get("executionId")
    if not isinstance(execution, str) or not execution:
        raise InvalidRequest("executionId is missing; allowed: the execution's ARN, which the state machine passes")
    logger.append_keys(execution=execution)
    request = RunRequest.from_json(event.get("request"))
    return run(
        request,
        execution.rpartition(":")[2],
        PLACE,
        CLIENTS,
        seconds=context.get_remaining_time_in_millis() / 1000,
        not_stopped=_not_stopped,
    )


def _not_stopped(session_id: str, error: RunError) -> None:
    logger.error("session not stopped; its lifetime ends it", extra={"sessionId": session_id, "error": str(error)})
    _count(Metric.SESSIONS_NOT_STOPPED)


def _count(metric: Metric, value: int = 1) -> None:
    metrics.add_metric(metric.value, MetricUnit.Count, value)
