"""The workflow state `OperationTask`: one operation of the contract, with its timeout and retries.

Compose these states in a state machine such as `SessionWorkflow`. The state uses JSONPath by default, and JSONata with
`query_language`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from sandpiper_constructs.cdk_values import seconds
from sandpiper_contract.errors import RETRYABLE
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import fields_of
from sandpiper_contract.workflows import TASK_RETRY_SECONDS

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

RETRIED_ERRORS = (*RETRYABLE, "Lambda.TooManyRequestsException")
"""Errors after which a retry cannot run code twice and may succeed: the contract's and Lambda's throttling.

`SessionEnded` is not one of them: the session of the request cannot come back.
Other Lambda service errors are excluded on purpose: after them the function may have run.
https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
"""
MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = TASK_RETRY_SECONDS
MAX_RETRIES = 8
TOTAL_RETRY_SECONDS = sum(min(MIN_RETRY_SECONDS * 2**retry, MAX_RETRY_SECONDS) for retry in range(MAX_RETRIES))
"""Maximum total wait before all retries."""
INVOKE_OVERHEAD_SECONDS = 30
"""Time that a task may take in addition to the function's timeout, for the start of the function and the response."""
MAX_LONG_ATTEMPTS = 3
"""Attempts that may last as long as the function's timeout: the run itself, and two that wait for a run in progress."""


RUN_JSONPATH = {
    "execution": sfn.JsonPath.execution_id,
    "state": sfn.JsonPath.state_name,
    "started": sfn.JsonPath.execution_start_time,
    "entered": sfn.JsonPath.state_entered_time,
    "retry": sfn.JsonPath.number_at("$$.State.RetryCount"),
    "redrive": sfn.JsonPath.number_at("$$.Execution.RedriveCount"),
}
RUN_JSONATA = {
    "execution": "{% $states.context.Execution.Id %}",
    "state": "{% $states.context.State.Name %}",
    "started": "{% $states.context.Execution.StartTime %}",
    "entered": "{% $states.context.State.EnteredTime %}",
    "retry": "{% $states.context.State.RetryCount %}",
    "redrive": "{% $states.context.Execution.RedriveCount %}",
}
"""The identity of a run in values of the context object.

https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
"""


class OperationTask(tasks.LambdaInvoke):
    """Invokes the session function with one operation. The output of the state is the operation's result.

    Retryable errors of the contract are retried with exponential backoff and jitter. Other errors can be caught by name
    (`sandpiper_contract.errors.ERRORS`).

    Example:
        ```python
        run = OperationTask(
            scope,
            "Run",
            session_function=function,
            operation="run_code",
            query_language=sfn.QueryLanguage.JSONATA,
            request={"code": "{% $states.input.program %}"},
            outputs="{% $states.result.stdout %}",
        )
        run.add_catch(sfn.Fail.jsonata(scope, "Failed"), errors=["SessionLost"])
        ```

    Raises:
        ValueError: for an unknown operation, for a field that the operation's request does not have, and for an
            argument of the other query language.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        session_function: SessionFunction,
        operation: str,
        request: Mapping[str, Any] | str | None = None,
        query_language: sfn.QueryLanguage = sfn.QueryLanguage.JSON_PATH,
        result_path: str | None = None,
        item_path: str | None = None,
        outputs: object = None,
        assign: Mapping[str, Any] | None = None,
        item: str | None = None,
        comment: str | None = None,
        timeout_seconds: int | None = None,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        """Creates the state.

        Args:
            scope: parent construct.
            id: the state's name, unique in its scope.
            session_function: the function to invoke.
            operation: the operation's name in the contract, such as `run_code`.
            request: fields of the request, as values, `sfn.JsonPath` or JSONata expressions. In JSONata also one
                expression for the whole request. Default: the state's input.
            query_language: the language of the state. Default: JSONPath.
            result_path: JSONPath only: path in the state's input for the result. Default: the result replaces the
                input.
            item_path: JSONPath only, required in an inline Map: path in the state's input of a text or number that
                differs for each item, such as the index that `item_selector` passes (`$$.Map.Item.Index`). Each item
                is a separate run. Default: no Map.
            outputs: JSONata only: the output of the state. Default: the result.
            assign: JSONata only: variables to set, by name.
            item: JSONata only, required in an inline Map: an expression that differs for each item.
            comment: the state's comment. Default: none.
            timeout_seconds: maximum duration of an attempt. Default: the function's timeout and the time for its
                start.
            max_retries: maximum number of retries. Default: 8, which wait about four minutes together.
        """
        if operation not in OPERATIONS:
            raise ValueError(f"operation is {operation!r}; allowed: {' | '.join(OPERATIONS)}")
        known = [field.name for field in fields_of(OPERATIONS[operation].request)]
        unknown = [name for name in request if name not in known] if isinstance(request, Mapping) else []
        if unknown:
            raise ValueError(f"{id}: {unknown[0]} is not a field of {operation}; allowed: {', '.join(known)}")
        is_jsonata = query_language == sfn.QueryLanguage.JSONATA
        jsonpath_arguments = {"result_path": result_path, "item_path": item_path}
        jsonata_arguments = {"outputs": outputs, "assign": assign, "item": item}
        allowed, others = jsonpath_arguments, jsonata_arguments
        if is_jsonata:
            allowed, others = others, allowed
        for name, value in others.items():
            if value is not None:
                raise ValueError(f"{id}: {name} is set; allowed with this query_language: {', '.join(allowed)}")
        run: dict[str, Any] = dict(RUN_JSONATA if is_jsonata else RUN_JSONPATH)
        if item is not None:
            run["item"] = item
        if item_path is not None:
            run["item"] = sfn.JsonPath.format("{}", sfn.JsonPath.string_at(item_path))
        sent: Any = dict(request) if isinstance(request, Mapping) else request
        if sent is None:
            sent = "{% $states.input %}" if is_jsonata else sfn.JsonPath.object_at("$")
        super().__init__(
            scope,
            id,
            lambda_function=session_function.function,
            payload=sfn.TaskInput.from_object({"operation": operation, "run": run, "request": sent}),
            payload_response_only=True,
            query_language=query_language if is_jsonata else None,
            result_path=result_path,
            outputs=outputs,
            assign=assign,
            comment=comment,
            retry_on_service_exceptions=False,
            task_timeout=_timeout(timeout_seconds or attempt_seconds(session_function)),
        )
        self.add_retry(
            errors=list(RETRIED_ERRORS),
            interval=seconds(MIN_RETRY_SECONDS),
            max_delay=seconds(MAX_RETRY_SECONDS),
            backoff_rate=2,
            max_attempts=max_retries,
            jitter_strategy=sfn.JitterType.FULL,
        )


@functools.cache
def _timeout(timeout_seconds: int) -> sfn.Timeout:
    return sfn.Timeout.duration(seconds(timeout_seconds))


def attempt_seconds(session_function: SessionFunction) -> int:
    """Returns the maximum duration of one attempt of a task in seconds."""
    return session_function.timeout_seconds + INVOKE_OVERHEAD_SECONDS


def max_task_seconds(session_function: SessionFunction) -> int:
    """Returns the maximum duration of a task with all its retries in seconds."""
    overhead = (MAX_RETRIES + 1) * INVOKE_OVERHEAD_SECONDS
    return MAX_LONG_ATTEMPTS * attempt_seconds(session_function) + TOTAL_RETRY_SECONDS + overhead
