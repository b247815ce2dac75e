"""The state machine `run-code`: one request in, one typed result out, or an error with its name in the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from sandpiper_constructs.operation_task import OperationTask, max_task_seconds
from sandpiper_constructs.session_workflow import SessionWorkflow, WorkflowOptions
from sandpiper_constructs.workflow_ending import JSONATA, catch, failed, stop_sessions

if TYPE_CHECKING:
    from aws_cdk import aws_stepfunctions as sfn
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction


class RunCodeWorkflow(SessionWorkflow):
    """Creates a state machine that runs the operation `run_code` with its input as the request.

    Retryable errors of the contract are retried. Any other error fails the execution with the error's name and cause.

    Example:
        ```python
        workflow = RunCodeWorkflow(stack, "RunCode", name="claims-run-code", session_function=function)
        workflow.state_machine.grant_start_execution(role)
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
            run = OperationTask(
                scope,
                "RunCode",
                session_function=session_function,
                operation="run_code",
                query_language=JSONATA,
                comment="Runs the program in a new session, which ends with it",
            )
            not_done = failed(scope)
            # The contract's errors are listed by name, so that the definition documents them. After others, such as
            # those of Lambda, the function may have ended without stopping its session.
            catch(run, not_done, stop_sessions(scope, session_function, not_done))
            return run

        super().__init__(
            scope,
            id,
            name=name,
            session_function=session_function,
            states=states,
            # The timeout of the task ends a run that hangs, as a failure that alarms count. This is the upper limit.
            timeout_seconds=max_task_seconds(session_function),
            comment="Runs untrusted code in its own session",
            query_language=JSONATA,
            **options,
        )
