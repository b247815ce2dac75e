"""Starts a new execution with the input of an earlier one."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from sandpiper.aws_errors import aws_errors_as_cli_errors
from sandpiper.errors import CliError
from sandpiper.names import RUN_BATCH
from sandpiper.plan.lines import count_of
from sandpiper.runs.batch_retry import read_failed_items, request_for
from sandpiper.runs.records import read_records

if TYPE_CHECKING:
    import boto3

    from sandpiper.deployment import Deployment
    from sandpiper.runs.executions import Execution

NOT_RUN = (
    "InvalidRequest",
    "AccessDenied",
    "InterpreterNotFound",
    "Throttled",
    "QuotaExceeded",
    "NotStarted",
    "SessionEnded",
    "PayloadTooLarge",
    "StorageError",
)
"""The errors of the contract after which the code of the request has not run."""


def retry_execution(
    session: boto3.Session, deployment: Deployment, execution: Execution, *, runs_code_again: bool
) -> tuple[str, str]:
    """Starts a new execution with the same input; of a batch, with its failed items. Returns its ARN, and the reason.

    Args:
        session: the credentials.
        deployment: the tenant.
        execution: the earlier execution.
        runs_code_again: whether the caller accepts that code runs again whose first run may have had effects.

    Raises:
        CliError: The execution is running, its code may have run and the caller does not accept that, or an AWS call
            failed.
    """
    if execution.is_running:
        raise CliError(
            f"{execution.arn} is running; allowed: an execution that has ended. Stop it with "
            f"`sandpiper runs stop {execution.arn}`"
        )
    if execution.workflow == RUN_BATCH:
        return _retry_batch(session, deployment, execution, runs_code_again=runs_code_again)
    if has_not_run(session, deployment, execution):
        reason = f"the code of the earlier run has not run: it failed with {execution.error} before"
    elif runs_code_again:
        reason = "the code runs again, as requested with --yes"
    else:
        raise CliError(_may_have_run(f"the code of {execution.arn}", execution.error or execution.status))
    return _start(session, deployment, execution, execution.request), reason


def _retry_batch(
    session: boto3.Session, deployment: Deployment, execution: Execution, *, runs_code_again: bool
) -> tuple[str, str]:
    failed = read_failed_items(session, deployment, execution)
    count = count_of(len(failed.errors), "failed item")
    may_have_run = sorted(set(failed.errors.values()) - set(NOT_RUN))
    if may_have_run and not runs_code_again:
        raise CliError(_may_have_run(f"the code of {count} of {execution.arn}", ", ".join(may_have_run)))
    request = request_for(failed, session, deployment, execution.request)
    how = "runs again, as requested with --yes" if may_have_run else "has not run"
    return _start(session, deployment, execution, request), f"{count}, whose code {how}"


def _may_have_run(code: str, ended: str) -> str:
    return (
        f"{code} may have run ({ended}), and a new execution runs it again; look for its effects, such as files and "
        "calls to other services, and add --yes if it may run twice"
    )


def _start(session: boto3.Session, deployment: Deployment, execution: Execution, request: object) -> str:
    with aws_errors_as_cli_errors("states:StartExecution"):
        return session.client("stepfunctions").start_execution(
            stateMachineArn=deployment.workflows[execution.workflow], name=str(uuid.uuid4()), input=json.dumps(request)
        )["executionArn"]


def has_not_run(session: boto3.Session, deployment: Deployment, execution: Execution) -> bool:
    """Returns whether no code of an execution has run.

    Its error states that for one attempt of one state. The records show that no other attempt or state sent code. They
    do not suffice, because S3 deletes them after the retention of runs.
    """
    if execution.error not in NOT_RUN:
        return False
    return not any(record.may_have_run for record in read_records(session, deployment, execution.arn))
