"""Reads the status of an environment from AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sandpiper.audit.check import check_trail
from sandpiper.aws_errors import aws_errors_as_cli_errors, error_code
from sandpiper.errors import CliError
from sandpiper.names import stack_name
from sandpiper.status.drift import detect_drift
from sandpiper.status.external.collect import check_external_resources
from sandpiper.status.interpreters import get_interpreter
from sandpiper.status.model import (
    AlarmStatus,
    AuditStatus,
    FailedRun,
    InterpreterStatus,
    StackStatus,
    Status,
    TenantStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.plan.deployed import Account, DeployedStack
    from sandpiper.plan.environments import SelectedEnvironment

MAX_FAILURES = 3
DELETED = "DELETED"


def collect_status(account: Account, selected: SelectedEnvironment, *, with_drift: bool) -> Status:
    """Returns the status of an environment.

    Args:
        account: where the environment is deployed.
        selected: the environment.
        with_drift: whether to compare resources with their templates, which takes longest.

    Raises:
        CliError: No stack of the environment is deployed, or AWS refuses a call.
    """
    environment = selected.name
    stacks = deployed_stacks(account, environment)
    drift, unchecked = detect_drift(account, stacks) if with_drift else ([], [])
    with aws_errors_as_cli_errors("the read actions of Lambda, Step Functions, AgentCore and CloudWatch"):
        return Status(
            environment=environment,
            account=account.target.account,
            region=account.target.region,
            warnings=selected.warnings,
            stacks=tuple(
                StackStatus(
                    name=one.name, status=one.status, changed=one.changed, orphaned=not selected.has_stack(one.name)
                )
                for one in stacks
            ),
            tenants=tuple(_tenant(account, environment, one) for one in stacks if "Interpreters" in one.outputs),
            alarms=tuple(_alarms(account, environment)),
            audit=_audit(account, selected),
            drift=tuple(drift),
            unchecked=tuple(unchecked),
            external_resources=tuple(check_external_resources(account, environment, stacks)),
        )


def deployed_stacks(account: Account, environment: str) -> list[DeployedStack]:
    """Returns the stacks of an environment. Raises CliError if there is none, or if AWS refuses a call."""
    stacks = list(account.stacks(environment).values())
    if not stacks:
        raise CliError(
            f"{environment} is not deployed in account {account.target.account}, {account.target.region}: run "
            f"`cdk bootstrap` once and `cdk deploy --all -c environment={environment}`"
        )
    return stacks


def _tenant(account: Account, environment: str, stack: DeployedStack) -> TenantStatus:
    function, workflow = stack.outputs["SessionFunctionName"], stack.outputs["RunCodeStateMachineArn"]
    identifiers: dict[str, str] = json.loads(stack.outputs["Interpreters"])
    return TenantStatus(
        name=stack.name.removeprefix(stack_name(environment, "")),
        function=function,
        function_state=_function_state(account, function),
        workflow=workflow,
        interpreters=tuple(_interpreter(account, key, identifier) for key, identifier in identifiers.items()),
        last_failures=tuple(_failures(account, workflow)),
    )


def _audit(account: Account, selected: SelectedEnvironment) -> AuditStatus | None:
    checked = check_trail(account, selected.environment) if selected.environment else None
    return AuditStatus(trail=checked.name, problems=checked.problems) if checked else None


def _function_state(account: Account, function: str) -> str:
    try:
        return account.session.client("lambda").get_function_configuration(FunctionName=function).get("State", "")
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return DELETED
        raise


def _interpreter(account: Account, key: str, identifier: str) -> InterpreterStatus:
    found: dict[str, Any] = get_interpreter(account, identifier) or {}
    return InterpreterStatus(
        key=key,
        identifier=identifier,
        network=found.get("networkConfiguration", {}).get("networkMode", ""),
        status=found.get("status", DELETED),
        live_sessions=len(account.sessions(identifier)) if found else 0,
    )


def _failures(account: Account, workflow: str) -> Iterator[FailedRun]:
    client = account.session.client("stepfunctions")
    try:
        page = client.list_executions(stateMachineArn=workflow, statusFilter="FAILED", maxResults=MAX_FAILURES)
    except ClientError as error:
        if error_code(error) == "StateMachineDoesNotExist":
            return
        raise
    for one in page["executions"]:
        yield FailedRun(execution=one["name"], at=one.get("stopDate"))


def _alarms(account: Account, environment: str) -> Iterator[AlarmStatus]:
    paginator = account.session.client("cloudwatch").get_paginator("describe_alarms")
    for page in paginator.paginate(AlarmNamePrefix=stack_name(environment, ""), StateValue="ALARM"):
        for one in page["MetricAlarms"]:
            yield AlarmStatus(name=one.get("AlarmName", ""), reason=one.get("StateReason", ""))
