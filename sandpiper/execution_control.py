"""Starts an execution of a tenant's workflow, waits until it ends, and stops it when the command is interrupted."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.aws_errors import error_code
from sandpiper.errors import CliError, CommandInterruptedError
from sandpiper.runs.executions import RUNNING
from sandpiper.runs.finding import is_missing_execution, missing_execution

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import boto3

    from sandpiper.deployment import Deployment

POLL_SECONDS = (0.05, 1.0)
"""First and longest interval between two polls of an execution."""


def require_workflow(deployment: Deployment, workflow: str) -> str:
    """Returns the ARN of a workflow's state machine. Raises CliError if the tenant does not have the workflow."""
    machine = deployment.workflows.get(workflow)
    if machine is None:
        raise CliError(
            f"the tenant has no workflow {workflow}; deployed: {', '.join(deployment.workflows)}. Add it to "
            "`workflows` of the tenant in the environment file, and deploy it"
        )
    return machine


def start_execution(session: boto3.Session, machine: str, request: Mapping[str, object]) -> str:
    """Starts an execution with a new name, and returns its ARN.

    Args:
        session: the credentials.
        machine: the ARN of the state machine.
        request: the input.

    Raises:
        CommandInterruptedError: The command was interrupted. The execution is stopped if it was started.
        CliError: The execution cannot be started.
    """
    name = str(uuid.uuid4())
    execution = f"{machine.replace(':stateMachine:', ':execution:', 1)}:{name}"
    try:
        workflows = session.client("stepfunctions")
        workflows.start_execution(stateMachineArn=machine, name=name, input=json.dumps(request))
    except (BotoCoreError, ClientError) as error:
        raise CliError(f"the workflow cannot be started: {error}") from None
    except KeyboardInterrupt:
        raise CommandInterruptedError(stop_after_interrupt(session, execution)) from None
    return execution


@contextmanager
def interruptible(
    session: boto3.Session, execution: str, on_interrupt: Callable[[str], str] | None = None
) -> Generator[None]:
    """Raises CommandInterruptedError when the command is interrupted in the block.

    Args:
        session: the credentials.
        execution: the ARN of the execution.
        on_interrupt: called with the ARN; returns the message. Default: stop the execution.
    """
    try:
        yield
    except KeyboardInterrupt:
        message = on_interrupt(execution) if on_interrupt else stop_after_interrupt(session, execution)
        raise CommandInterruptedError(message) from None


def stop_after_interrupt(session: boto3.Session, execution: str) -> str:
    """Stops an execution if it is running, and returns the message about it."""
    workflows = session.client("stepfunctions")
    try:
        if workflows.describe_execution(executionArn=execution)["status"] != RUNNING:
            return f"interrupted: the execution has ended; show it with `sandpiper runs show {execution}`"
        workflows.stop_execution(executionArn=execution, error="Interrupted", cause="the caller was interrupted")
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error_code(error) == "ExecutionDoesNotExist":
            return "interrupted: no execution was started"
        return f"interrupted: the execution cannot be stopped ({error}); it continues\nexecution: {execution}"
    return f"interrupted: the execution was stopped, and its session ends within a minute\nexecution: {execution}"


def wait_for_end(session: boto3.Session, execution: str, waiting: Callable[[float], None]) -> dict[str, Any]:
    """Waits until an execution has ended, and returns the response of DescribeExecution.

    Args:
        session: the credentials.
        execution: the ARN of the execution.
        waiting: called before each poll with the seconds since the start of the wait.

    Raises:
        CliError: The execution does not exist, or its status cannot be read.
    """
    workflows = session.client("stepfunctions")
    started = time.monotonic()
    interval, max_interval = POLL_SECONDS
    try:
        while (described := workflows.describe_execution(executionArn=execution))["status"] == RUNNING:
            waiting(time.monotonic() - started)
            time.sleep(interval)
            interval = min(interval * 1.2, max_interval)
    except (BotoCoreError, ClientError) as error:
        if is_missing_execution(error):
            raise CliError(missing_execution(execution)) from None
        raise CliError(f"the status of the run cannot be read: {error}") from None
    return {**described}
