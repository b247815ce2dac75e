"""Runs Lambda functions with `local_aws.lambda_runtime`, in the trace of the execution that calls them.

MiniStack's worker loses the class of an exception. MiniStack has no traces, does not measure the memory of a function,
has no metric `ConcurrentExecutions`, and has metrics of direct invocations only.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.core.lambda_runtime import execution_credentials
from ministack.services import lambda_svc

from local_aws.ministack.patches import cloudwatch_metrics, iam_roles, stepfunctions_outcomes, sts

if TYPE_CHECKING:
    from local_aws.lambda_runtime.functions import Functions

MINISTACK_VERSION = "1.5.33"
SERVICE_PRINCIPAL = "lambda.amazonaws.com"
_emit_lambda_metrics = lambda_svc._emit_lambda_metrics
_last = threading.local()
"""The memory of the last invocation: the thread that runs a function then writes its `REPORT` line."""


def install(functions: Functions) -> None:
    """Replaces MiniStack's execution of functions. Lambda assumes the role of a function before each event."""

    def execute(function: dict[str, Any], event: object, request_id: str) -> dict[str, Any]:
        config = function.get("config") or function
        try:
            iam_roles.assume_role(SERVICE_PRINCIPAL, config["Role"], config["FunctionArn"])
        except iam_roles.AccessDeniedError as error:
            message = f"The role defined for the function cannot be assumed by Lambda. {error}"
            return {"body": {"errorType": "AccessDeniedException", "errorMessage": message}, "log": "", "error": True}
        _record_concurrency(config)
        trace = stepfunctions_outcomes.trace_header()
        started = time.monotonic()
        result = functions.invoke(config, function["code_zip"], event, request_id, lambda: _credentials(config), trace)
        milliseconds = (time.monotonic() - started) * 1000
        _emit_lambda_metrics(config["FunctionName"], milliseconds, result.failed, throttle=False)
        _last.peak_memory_mib = result.peak_memory_mib
        return {"body": result.body, "log": result.log, **({"error": True} if result.failed else {})}

    lambda_svc._execute_function_warm = execute
    lambda_svc._emit_lambda_metrics = emit_throttle
    lambda_svc._probe_peak_memory_mb = _peak_memory_mib


def _peak_memory_mib(_function: object) -> int:
    """Returns the memory of the invocation that this thread ran last."""
    return getattr(_last, "peak_memory_mib", 0)


def emit_throttle(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
    """Records a throttled invocation. `execute` records the others, also those of workflows and rules."""
    if throttle:
        _emit_lambda_metrics(function_name, duration_ms, error, throttle)


def _record_concurrency(config: dict[str, Any]) -> None:
    """Records how many invocations of the function, and of all functions, run now.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    total, by_function = lambda_svc.executions_in_flight()
    own = by_function.get(lambda_svc._inflight_key(config), 1)
    for count, dimensions in ((own, {"FunctionName": config["FunctionName"]}), (total, {})):
        cloudwatch_metrics.record_metric("AWS/Lambda", "ConcurrentExecutions", count, "Count", dimensions)


def _credentials(config: dict[str, Any]) -> dict[str, str]:
    """Returns the environment variables with credentials of the function's role."""
    variables = execution_credentials(config)
    secret_access_key, session_token = sts.replace_secret(variables["AWS_ACCESS_KEY_ID"])
    return {**variables, "AWS_SECRET_ACCESS_KEY": secret_access_key, "AWS_SESSION_TOKEN": session_token}
