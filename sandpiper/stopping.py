"""Stops an execution with its sessions, or one session, of a deployed tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.live_sessions import stop_session
from code_runner.execution_sessions import MAX_SECONDS, stop_sessions_of
from code_runner.tenant_config import TenantConfig
from sandpiper.errors import CliError
from sandpiper.runs.finding import is_missing_execution, missing_execution
from sandpiper_contract.errors import InvalidRequest, RunError, SessionLost
from sandpiper_contract.run import Run

if TYPE_CHECKING:
    import boto3

    from sandpiper.deployment import Deployment


def stop_execution(session: boto3.Session, deployment: Deployment, execution: str) -> tuple[str, ...]:
    """Stops an execution unless it has ended, and its sessions. Returns the ids of the sessions that were live.

    Raises:
        CliError: The execution does not exist, or an AWS call failed.
    """
    arn = deployment.execution_arn(execution)
    workflows = session.client("stepfunctions")
    try:
        if workflows.describe_execution(executionArn=arn)["status"] == "RUNNING":
            workflows.stop_execution(executionArn=arn, cause="sandpiper stop")
    except (BotoCoreError, ClientError) as error:
        if is_missing_execution(error):
            raise CliError(missing_execution(arn)) from None
        raise CliError(f"execution {arn} cannot be stopped: {error}") from None
    failed = dict[str, RunError]()
    tenant = TenantConfig(deployment.interpreters, deployment.bucket, deployment.prefix)
    try:
        stopped = stop_sessions_of(
            Run(arn), tenant, AwsClients(session), Deadline.after(MAX_SECONDS), failed.__setitem__
        )
    except RunError as error:
        raise CliError(f"the sessions of {arn} cannot be stopped: {error}") from None
    if failed:
        raise CliError(
            "\n".join(f"session {session_id} is not stopped: {error}" for session_id, error in failed.items())
        )
    return stopped


def stop_one_session(session: boto3.Session, deployment: Deployment, session_id: str) -> bool:
    """Stops a session of any interpreter of the tenant. Returns False if it had already ended.

    Raises:
        CliError: The tenant has no such session, or an AWS call failed.
    """
    clients = AwsClients(session)
    for interpreter_id in deployment.interpreters.values():
        try:
            return stop_session(clients, interpreter_id, session_id)
        except (SessionLost, InvalidRequest):  # a session of another interpreter
            continue
        except RunError as error:
            raise CliError(str(error)) from None
    raise CliError(
        f"--session is {session_id!r}; allowed: a session of the interpreters {' | '.join(deployment.interpreters)}"
    )
