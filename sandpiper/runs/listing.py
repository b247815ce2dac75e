"""Lists the executions of a tenant's workflows, the most recent first."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError

from code_runner.agentcore.concurrency import MAX_THREADS, map_concurrently
from sandpiper.aws_errors import aws_errors_as_cli_errors, error_code
from sandpiper.runs.batches import with_summary
from sandpiper.runs.executions import Execution, from_description, from_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import boto3
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType

    from sandpiper.deployment import Deployment

MAX_PAGE = 1_000
"""https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html"""
PACED = Config(retries={"mode": "adaptive", "total_max_attempts": 10}, max_pool_connections=MAX_THREADS)
"""DescribeExecution is limited to 15 calls per second after a burst of 300, and 10 after 250 in most regions.

https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html#service-limits-api-state
"""
ACTIONS = "states:ListExecutions, states:DescribeExecution"


def list_executions(
    session: boto3.Session,
    deployment: Deployment,
    workflows: Mapping[str, str],
    limit: int,
    status: ExecutionStatusType | None = None,
) -> list[Execution]:
    """Returns the most recent executions with their results, in the order of Step Functions.

    A running execution counts by its start, another one by its end. Only as many pages are read as are needed.

    Args:
        session: the credentials.
        deployment: the tenant.
        workflows: the ARNs of the state machines by workflow.
        limit: maximum number of executions.
        status: only executions with this status. Default: all.

    Raises:
        CliError: An AWS call failed.
    """
    client = session.client("stepfunctions", config=PACED)
    pages = [_executions(client, name, arn, limit, status) for name, arn in workflows.items()]
    with aws_errors_as_cli_errors(ACTIONS):
        recent = list(islice(heapq.merge(*pages, key=_time, reverse=True), limit))
        described = map_concurrently(lambda one: _described(client, one), recent)
    return map_concurrently(lambda one: with_summary(session, deployment, one), described)


def _executions(
    client: SFNClient, workflow: str, arn: str, limit: int, status: ExecutionStatusType | None
) -> Iterator[Execution]:
    """Yields the executions of a workflow and reads their pages as they are needed. An Express workflow has none."""
    only: Any = {"statusFilter": status} if status else {}
    size = min(limit, MAX_PAGE)
    paginator = client.get_paginator("list_executions")
    try:
        for page in paginator.paginate(stateMachineArn=arn, PaginationConfig={"PageSize": size}, **only):
            for item in page["executions"]:
                yield from_list(item, workflow)
    except ClientError as error:
        if error_code(error) != "StateMachineTypeNotSupported":
            raise


def _described(client: SFNClient, execution: Execution) -> Execution:
    """Returns the execution with its result. Without one, and if it was deleted since, returns it unchanged."""
    if execution.is_running:
        return execution
    try:
        return from_description(client.describe_execution(executionArn=execution.arn), execution.workflow)
    except ClientError as error:
        if error_code(error) == "ExecutionDoesNotExist":
            return execution
        raise


def _time(execution: Execution) -> datetime:
    return execution.stopped or execution.redriven or execution.started
