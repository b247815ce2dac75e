"""The Lambda handler: parses the event into a typed request once, performs the operation and returns JSON."""
# ruff: noqa: E402 - garbage collection is disabled before the imports

from __future__ import annotations

import gc

gc.disable()  # objects created during initialization remain, so there is nothing to collect

import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.invocation_metrics import InvocationMetrics, metrics
from code_runner.operations import Operations
from code_runner.tenant_config import TenantConfig
from sandpiper_contract import settings
from sandpiper_contract.errors import RunError, ServiceFault
from sandpiper_contract.events import Event
from sandpiper_contract.metrics import Metric
from sandpiper_contract.requests import SweepSessions
from sandpiper_contract.results import ClosedSession, CommandState, RunResult, StoppedSessions

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from sandpiper_contract.records import Record

logger = Logger()
DEFAULT_TRACEBACK_LIMIT = 1_000
"""Python's own limit."""
BATCH_LIMITS = json.loads(os.environ.get(settings.BATCH_LIMITS, "{}"))
TENANT = TenantConfig(
    interpreters=json.loads(os.environ[settings.INTERPRETERS]),
    bucket=os.environ[settings.BUCKET],
    prefix=os.environ[settings.PREFIX],
    session_seconds=json.loads(os.environ.get(settings.SESSION_SECONDS, "{}")),
    max_batch_concurrency=BATCH_LIMITS.get("maxConcurrency"),
    seconds_between_calls=BATCH_LIMITS.get("secondsBetweenCalls", 0.0),
)
STOPPED_METRICS = {"stop_sessions": Metric.SESSIONS_STOPPED, "sweep_sessions": Metric.SESSIONS_SWEPT}
"""The metric for the number of sessions that an operation has stopped."""
RESULTS_WITH_USAGE = (RunResult, CommandState, ClosedSession)
CLIENTS = AwsClients()
# During initialization, because Lambda provides more CPU then than in the first call.
CLIENTS.warm_up()
gc.freeze()  # later collections skip the objects of the initialization
gc.enable()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def run_operation(event: dict[str, Any], context: LambdaContext) -> dict[str, object]:
    """Performs one operation.

    Args:
        event: `{"operation": …, "run": {…}, "request": {…}}`, see `sandpiper_contract.events`.
        context: Lambda's context, for the remaining time.

    Raises:
        RunError: An error of the contract, whose name Step Functions matches. Lambda logs the message, so messages
            contain no code and no data.
    """
    sys.tracebacklimit = DEFAULT_TRACEBACK_LIMIT
    counted = InvocationMetrics(CLIENTS, TENANT.interpreters)
    try:
        result = _perform(event, context, counted)
    except RunError as error:
        counted.on_error(error)
        extra = {"error": type(error).__name__, "retryable": error.retryable, **counted.finish().to_json()}
        logger.warning("run failed", extra=extra)
        raise _without_traceback(error) from error
    except Exception as error:
        fault = ServiceFault(f"a fault in the session function ({type(error).__name__}); the code may have run")
        counted.on_error(fault)
        extra = {"error": ServiceFault.__name__, "retryable": fault.retryable, **counted.finish().to_json()}
        logger.exception("run failed because of a fault in the session function", extra=extra)
        raise _without_traceback(fault) from None
    response = result.to_json()
    counted.count(Metric.PROGRAMS_FAILED, int(response.get("exitCode", 0) != 0))
    if isinstance(result, StoppedSessions):
        counted.count(STOPPED_METRICS[event["operation"]], len(result.session_ids))
    usage = counted.finish().to_json()
    names = ("exitCode", "executionTimeMs", "status")
    logger.info("run done", extra={name: response[name] for name in names if name in response} | usage)
    return response | {"usage": usage} if isinstance(result, RESULTS_WITH_USAGE) else response


def _perform(raw: dict[str, Any], context: LambdaContext, counted: InvocationMetrics) -> Record:
    event = Event.from_json(raw, "event")
    logger.append_keys(execution=event.run.execution, operation=event.operation)
    operations = Operations(
        run=event.run,
        tenant=TENANT,
        clients=counted.clients,
        deadline=Deadline.after(context.get_remaining_time_in_millis() / 1000),
        on_stop_failed=partial(_on_stop_failed, counted),
        on_result=counted.on_result,
        on_duplicate=partial(_on_duplicate, counted),
        on_joined_session_ended=counted.on_joined_session_ended,
    )
    request = event.typed_request()
    counted.on_request(event.run, request)
    if isinstance(request, SweepSessions):
        from code_runner.session_sweep import sweep_sessions

        return sweep_sessions(request, operations, CLIENTS.executions)
    if hasattr(operations, event.operation):
        return getattr(operations, event.operation)(request)
    from code_runner.batches.batch_operations import BatchOperations  # imported here to keep cold starts fast

    return getattr(BatchOperations(operations), event.operation)(request)


def _without_traceback(error: RunError) -> RunError:
    """Returns the error with its advice, and turns tracebacks off.

    The message contains everything, and a fault of the function has been logged with its traceback. Lambda's runtime
    client would add the traceback as `stackTrace` to the Cause that Step Functions shows.
    """
    sys.tracebacklimit = 0
    return error.with_remedy()


def _on_stop_failed(counted: InvocationMetrics, session_id: str, error: RunError) -> None:
    extra = {"sessionId": session_id, "error": str(error)}
    logger.error("session not stopped; it ends when its lifetime expires", extra=extra)
    counted.count(Metric.SESSIONS_NOT_STOPPED)


def _on_duplicate(counted: InvocationMetrics, record_uri: str) -> None:
    logger.error("code accepted twice: another attempt has overwritten the record", extra={"record": record_uri})
    counted.on_duplicate()
