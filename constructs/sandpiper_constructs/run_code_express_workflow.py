"""The state machine `run-code-express`: a short run whose result the call that starts it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.operation_task import OperationTask
from sandpiper_constructs.session_workflow import SessionWorkflow, WorkflowOptions
from sandpiper_constructs.workflow_ending import JSONATA, catch, failed
from sandpiper_contract.requests import TIMEOUT_RESERVE_SECONDS

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

EXPRESS_SECONDS = 300
"""https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html"""
MAX_LIFETIME_SECONDS = 240
"""Maximum lifetime of the session: nothing else ends the session of an Express execution that times out."""
TASK_SECONDS = 270
MAX_RETRIES = 3
"""They wait 14 s together."""
_TOO_LONG = (
    f"sessionTimeoutSeconds is at most {MAX_LIFETIME_SECONDS} and timeoutSeconds at most "
    f"{MAX_LIFETIME_SECONDS - TIMEOUT_RESERVE_SECONDS} in run-code-express; for longer runs, use run-code. Retryable: "
    "no. Correct the field named in the message."
)


def _exceeds(field: str, maximum: int) -> str:
    """Returns a JSONata condition: whether the field of the input is a number above the maximum."""
    value = f"$states.input.{field}"
    return f"($type({value}) = 'number' and {value} > {maximum})"


class RunCodeExpressWorkflow(SessionWorkflow):
    """Creates an Express state machine that runs the operation `run_code` with its input as the request.

    `StartSyncExecution` returns the result. Express executions have no names that are unique, no redrive, no history
    and no events: a caller that starts a second execution runs the code twice.

    Example:
        ```python
        express = RunCodeExpressWorkflow(stack, "Express", name="claims-express", session_function=function)
        express.state_machine.grant_start_sync_execution(role)
        ```
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name: str,
        session_function: SessionFunction,
        **options: Unpack[WorkflowOptions],
    ) -> None:
        """Creates the state machine.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name: the state machine's name, unique in its account and region.
            session_function: the function that runs the code.
            **options: `log_retention`, `key` and `retain_logs` of `WorkflowOptions`.
        """

        def states(scope: Construct) -> sfn.IChainable:
            check = sfn.Choice.jsonata(scope, "Short enough?", comment="Rejects runs that could exceed five minutes")
            run = OperationTask(
                scope,
                "RunCode",
                session_function=session_function,
                operation="run_code",
                query_language=JSONATA,
                request=f"{{% $type($states.input) = 'object' "
                f"? $merge([{{'sessionTimeoutSeconds': {MAX_LIFETIME_SECONDS}}}, $states.input]) : $states.input %}}",
                comment="Runs the program in a new session, which ends with it",
                timeout_seconds=TASK_SECONDS,
                max_retries=MAX_RETRIES,
            )
            too_long = sfn.Fail.jsonata(
                scope, "Too long", comment="Nothing was started", error="InvalidRequest", cause=_TOO_LONG
            )
            not_done = failed(scope)
            catch(run, not_done, not_done)
            lifetime = _exceeds("sessionTimeoutSeconds", MAX_LIFETIME_SECONDS)
            timeout = _exceeds("timeoutSeconds", MAX_LIFETIME_SECONDS - TIMEOUT_RESERVE_SECONDS)
            return check.when(sfn.Condition.jsonata(f"{{% {lifetime} or {timeout} %}}"), too_long).otherwise(run)

        super().__init__(
            scope,
            id,
            name=name,
            session_function=session_function,
            states=states,
            timeout_seconds=EXPRESS_SECONDS,
            comment="Runs untrusted code in its own session and returns the result to the caller",
            query_language=JSONATA,
            express=True,
            **options,
        )
