"""Answers an approval that an execution of `run-session` waits for.

The task token is only in the history of the execution, in the parameters of the waiting state. So an answer needs two
permissions: to read the history of this execution (`states:GetExecutionHistory`) and to answer
(`states:SendTaskSuccess`, `states:SendTaskFailure`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.aws_errors import error_code
from sandpiper.errors import CliError
from sandpiper.runs.finding import is_missing_execution, missing_execution
from sandpiper_contract.errors import APPROVAL_REJECTED

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

CALLBACK = "invoke.waitForTaskToken"
"""How the resource of a task that waits for a token ends."""
ENDED_CODES = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")
"""Errors of an answer to a task that has ended.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
"""
ACTIONS = "states:GetExecutionHistory on the execution, states:SendTaskSuccess and states:SendTaskFailure"


@dataclass(frozen=True)
class PendingApproval:
    """An approval that an execution waits for.

    Attributes:
        step: the number of the step that it follows, from 0.
        message: what to approve.
        token: the task token. Do not print it.
    """

    step: int
    message: str
    token: str


def pending_approval(session: boto3.Session, execution: str) -> PendingApproval | None:
    """Returns the approval that an execution waits for, or None.

    Args:
        session: the credentials.
        execution: the ARN of the execution.

    Raises:
        CliError: The execution does not exist, or its history cannot be read.
    """
    workflows = session.client("stepfunctions")
    try:
        pages = workflows.get_paginator("get_execution_history").paginate(executionArn=execution, reverseOrder=True)
        for page in pages:
            for event in page["events"]:
                details = cast("dict[str, Any]", event.get("taskScheduledEventDetails", {}))
                if str(details.get("resource", "")).endswith(CALLBACK):
                    return _pending(details)
                if not _belongs_to_waiting_task(event["type"]):
                    return None
    except (BotoCoreError, ClientError) as error:
        if is_missing_execution(error):
            raise CliError(missing_execution(execution)) from None
        raise CliError(f"the history of {execution} cannot be read: {error}; required: {ACTIONS}") from None
    return None


def approve(session: boto3.Session, execution: str, by: str) -> PendingApproval:
    """Approves, so that the next step runs. Returns the approval.

    Args:
        session: the credentials.
        execution: the ARN of the execution.
        by: who approves, for the result of the step.

    Raises:
        CliError: The execution does not wait for an approval, or the answer was refused.
    """
    pending = _require_pending(session, execution)
    client = session.client("stepfunctions")
    _answer(execution, lambda: client.send_task_success(taskToken=pending.token, output=json.dumps({"by": by})))
    return pending


def reject(session: boto3.Session, execution: str, by: str, reason: str = "") -> PendingApproval:
    """Rejects, so that the execution ends its session and fails with `ApprovalRejected`. Returns the approval.

    Args:
        session: the credentials.
        execution: the ARN of the execution.
        by: who rejects, for the cause of the execution.
        reason: why, for the cause. Default: none.

    Raises:
        CliError: The execution does not wait for an approval, or the answer was refused.
    """
    pending = _require_pending(session, execution)
    client = session.client("stepfunctions")
    cause = f"step {pending.step} was rejected by {by}" + (f": {reason}" if reason else "")
    _answer(execution, lambda: client.send_task_failure(taskToken=pending.token, error=APPROVAL_REJECTED, cause=cause))
    return pending


def _pending(details: dict[str, Any]) -> PendingApproval:
    request = json.loads(details["parameters"])["Payload"]["request"]
    return PendingApproval(request["step"], request["message"], request["token"])


def _belongs_to_waiting_task(event_type: str) -> bool:
    """Returns whether the task of the last scheduled event can still be waiting after an event of this type."""
    return event_type in ("TaskStarted", "TaskSubmitted")


def _require_pending(session: boto3.Session, execution: str) -> PendingApproval:
    pending = pending_approval(session, execution)
    if pending is None:
        raise CliError(_not_waiting(execution))
    return pending


def _answer(execution: str, send: Callable[[], object]) -> None:
    try:
        send()
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error_code(error) in ENDED_CODES:
            raise CliError(_not_waiting(execution)) from None
        raise CliError(f"the answer to {execution} was refused: {error}; required: {ACTIONS}") from None


def _not_waiting(execution: str) -> str:
    """Returns the one message for an answer that comes too late, twice or too early."""
    return (
        f"{execution} does not wait for an approval: it was answered, its time is over, the execution has ended, or no "
        "step with an approval has run yet; see the execution with `sandpiper runs show`"
    )
