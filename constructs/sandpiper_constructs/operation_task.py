"""One operation of the contract as a state of a workflow: what it sends, how long it may take, what is retried.

Not the workflow: compose these in one of your own, such as `SessionWorkflow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from sandpiper_contract.errors import RETRYABLE
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

RETRIED = (*RETRYABLE, "Lambda.TooManyRequestsException")
"""Errors after which a retry runs no code twice: the contract's, and Lambda's refusal to start the function.

Lambda's other service errors are left out on purpose: after them the function may have run.
https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
"""
FIRST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 60
ATTEMPTS = 8
WAITING_SECONDS = sum(min(FIRST_WAIT_SECONDS * 2**attempt, LONGEST_WAIT_SECONDS) for attempt in range(ATTEMPTS))
"""The longest that all retries wait together."""
START_SECONDS = 30
"""What a task may take beyond the function's own timeout: its start and the way back."""
LONG_ATTEMPTS = 3
"""How many attempts may take as long as the function may: the run itself, and two that wait for one still under way."""


class OperationTask(tasks.LambdaInvoke):
    """Invokes the session function with one operation for this state of this execution; its output is the result.

    An error of the contract that may be retried is retried with growing, jittered waits. Any other can be caught by
    its name (`sandpiper_contract.errors.ERRORS`).

    Raises ValueError for an operation that there is not, and for a field that its request does not have.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        session_function: SessionFunction,
        operation: str,
        request: Mapping[str, Any] | None = None,
        result_path: str | None = None,
        in_map: bool = False,
        round_path: str | None = None,
    ) -> None:
        """`request` has the contract's fields, as values or `sfn.JsonPath`; without it it is the state's input.

        `result_path` is where in the state's input the result goes; without it the result is the output. A state in
        an inline Map is another run for each item: say `in_map`. One that a loop enters again on purpose needs
        `round_path`, a number in its input that counts the rounds; without it the second round is the first one again.
        """
        if operation not in OPERATIONS:
            raise ValueError(f"operation is {operation!r}; allowed: {' | '.join(OPERATIONS)}")
        known = [field.name for field in fields_of(OPERATIONS[operation].request)]
        unknown = [name for name in request or {} if name not in known]
        if unknown:
            raise ValueError(f"{id}: {unknown[0]} is not a field of {operation}; the fields are {', '.join(known)}")
        run: dict[str, Any] = {
            "execution": sfn.JsonPath.execution_id,
            "state": sfn.JsonPath.state_name,
            "started": sfn.JsonPath.execution_start_time,
        }
        if in_map:
            run["index"] = sfn.JsonPath.number_at("$$.Map.Item.Index")
        if round_path is not None:
            run["iteration"] = sfn.JsonPath.number_at(round_path)
        super().__init__(
            scope,
            id,
            lambda_function=session_function.function,
            payload=sfn.TaskInput.from_object(
                {
                    "operation": operation,
                    "run": run,
                    "request": sfn.JsonPath.object_at("$") if request is None else dict(request),
                }
            ),
            payload_response_only=True,
            result_path=result_path,
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(task_seconds(session_function))),
        )
        self.add_retry(
            errors=list(RETRIED),
            interval=Duration.seconds(FIRST_WAIT_SECONDS),
            max_delay=Duration.seconds(LONGEST_WAIT_SECONDS),
            backoff_rate=2,
            max_attempts=ATTEMPTS,
            jitter_strategy=sfn.JitterType.FULL,
        )


def task_seconds(session_function: SessionFunction) -> int:
    """The longest that one attempt of a task may take."""
    return session_function.timeout_seconds + START_SECONDS
