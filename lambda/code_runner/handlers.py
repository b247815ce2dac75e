"""Lambda's entry: the event becomes a typed request once, its operation is called, its result goes back as JSON."""
# ruff: noqa: E402 - the garbage collector rests from before the imports on

from __future__ import annotations

import gc

gc.disable()  # what is made while Lambda initialises stays: there is nothing to collect

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.operations import Operations, Place
from sandpiper_contract import settings
from sandpiper_contract.errors import CodeFailed, RunError, ServiceFault, Throttled
from sandpiper_contract.events import Event
from sandpiper_contract.metrics import NAMESPACE, Metric

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from sandpiper_contract.records import Record

logger = Logger()
metrics = Metrics(namespace=NAMESPACE)
WHOLE_TRACES = 1_000
"""Python's own limit."""
PLACE = Place(
    interpreters=json.loads(os.environ[settings.INTERPRETERS]),
    bucket=os.environ[settings.BUCKET],
    prefix=os.environ[settings.PREFIX],
    session_seconds=json.loads(os.environ.get(settings.SESSION_SECONDS, "{}")),
)
CLIENTS = AwsClients()
# Made while Lambda initialises, which it does with more CPU than the first call has.
CLIENTS.warm()
gc.freeze()  # nor does a job's collection look at it
gc.enable()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def run_operation(event: dict[str, Any], context: LambdaContext) -> dict[str, object]:
    """Does `{"operation": …, "run": {…}, "request": {…}}`, as sandpiper_contract.events has it.

    Raises the contract's errors by name, which is what Step Functions matches; Lambda logs their messages, which is why
    those hold no code and no data.
    """
    sys.tracebacklimit = WHOLE_TRACES
    _count(Metric.RUNS)
    try:
        result = _run(event, context)
    except CodeFailed as error:
        _count(Metric.PROGRAMS_FAILED)
        raise _without_trace(error) from error
    except RunError as error:
        _count(Metric.THROTTLED if isinstance(error, Throttled) else Metric.ERRORS)
        logger.warning("run refused or lost", extra={"error": type(error).__name__, "retryable": error.retryable})
        raise _without_trace(error) from error
    except Exception as error:
        _count(Metric.ERRORS)
        logger.exception("run failed by a fault of the session function")
        fault = ServiceFault(f"a fault of the session function ({type(error).__name__}); the code may have run")
        raise _without_trace(fault) from None
    answer = result.to_json()
    _count(Metric.PROGRAMS_FAILED, int(answer.get("exitCode", 0) != 0))
    logger.info(
        "run done", extra={name: answer[name] for name in ("exitCode", "executionTimeMs", "status") if name in answer}
    )
    return answer


def _run(raw: dict[str, Any], context: LambdaContext) -> Record:
    event = Event.from_json(raw, "event")
    logger.append_keys(execution=event.run.execution, operation=event.operation)
    operations = Operations(
        run=event.run,
        place=PLACE,
        clients=CLIENTS,
        end=Deadline.after(context.get_remaining_time_in_millis() / 1000),
        not_stopped=_not_stopped,
        left=_left,
    )
    return getattr(operations, event.operation)(event.typed_request())


def _left(kept: int, skipped: int) -> None:
    _count(Metric.FILES_KEPT, kept)
    _count(Metric.FILES_SKIPPED, skipped)


def _without_trace(error: RunError) -> RunError:
    """The error as its caller sees it: all is in the message, and a fault of the function's own has been logged whole.

    What Lambda's runtime client takes of the traceback is `stackTrace` in the Cause that Step Functions shows.
    """
    sys.tracebacklimit = 0
    return error.with_remedy()


def _not_stopped(session_id: str, error: RunError) -> None:
    logger.error("session not stopped; its lifetime ends it", extra={"sessionId": session_id, "error": str(error)})
    _count(Metric.SESSIONS_NOT_STOPPED)


def _count(metric: Metric, value: int = 1) -> None:
    metrics.add_metric(metric.value, MetricUnit.Count, value)
