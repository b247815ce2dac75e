"""The state machine `run-code`: one request in, one typed result out, or an error with the contract's name.

Not what a run does: that is the session function's. Here is what happens when it cannot do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.operation_task import (
    ATTEMPTS,
    LONG_ATTEMPTS,
    START_SECONDS,
    WAITING_SECONDS,
    OperationTask,
    task_seconds,
)
from sandpiper_constructs.session_workflow import SessionWorkflow
from sandpiper_contract.errors import ERRORS

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction


class RunCodeWorkflow(SessionWorkflow):
    """Takes a request of the contract, answers with its result.

    The function is sent the operation run_code, for this state of this execution. An error of the contract that may be
    retried is retried; any other ends the execution as failed with that error's name and cause.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        name: str,
        session_function: SessionFunction,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
    ) -> None:
        """`name` is the state machine's, unique in its account and region."""

        def states(scope: Construct) -> sfn.IChainable:
            run = OperationTask(scope, "RunCode", session_function=session_function, operation="run_code")
            failed = sfn.Fail(scope, "RunFailed", error_path="$.Error", cause_path="$.Cause")
            # The contract's errors by name, so that a reader sees which there are; the rest is Lambda's own.
            run.add_catch(failed, errors=list(ERRORS))
            run.add_catch(failed, errors=["States.ALL"])
            return run

        super().__init__(
            scope,
            id,
            name=name,
            session_function=session_function,
            states=states,
            # A task's timeout ends a run that hangs, as a failure that alarms count. This one is for what is left.
            timeout_seconds=(
                LONG_ATTEMPTS * task_seconds(session_function) + WAITING_SECONDS + (ATTEMPTS + 1) * START_SECONDS
            ),
            comment="Runs code that nobody wrote by hand in a session of its own",
            log_retention=log_retention,
        )
