"""Finds an execution of a tenant by its ARN or its name, and explains why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from sandpiper.aws_errors import aws_errors_as_cli_errors, error_code
from sandpiper.errors import CliError
from sandpiper.names import EXECUTION_ARN
from sandpiper.runs.executions import Execution, from_description

if TYPE_CHECKING:
    import boto3

    from sandpiper.deployment import Deployment

_UNKNOWN_CODES = ("ExecutionDoesNotExist", "InvalidArn", "InvalidName", "ValidationException")
ALLOWED = "allowed: the ARN or the name of an execution, as `sandpiper runs list` shows it"
KEPT = "Step Functions keeps an execution for 90 days after its end, and no Express execution"
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html#service-limits-state-machine-executions"""


def find_execution(session: boto3.Session, deployment: Deployment, execution: str) -> Execution:
    """Returns an execution of any workflow of the tenant.

    Args:
        session: the credentials.
        deployment: the tenant.
        execution: the ARN, or the name.

    Raises:
        CliError: It does not exist, is of another tenant, account or region, is an Express execution, or several
            workflows have an execution with this name.
    """
    if execution.startswith("arn:"):
        workflow = _workflow_of(deployment, execution)
        found = _describe(session, execution, workflow)
        if found is None:
            raise CliError(f"{execution} does not exist; {ALLOWED}. {KEPT}")
        return found
    arns = {workflow: f"{_executions_arn(machine)}:{execution}" for workflow, machine in deployment.workflows.items()}
    described = [_describe(session, arn, workflow) for workflow, arn in arns.items()] if execution else []
    candidates = [one for one in described if one is not None]
    if not candidates:
        workflows = ", ".join(deployment.workflows)
        raise CliError(f"{execution!r} is not an execution of the tenant's workflows ({workflows}); {ALLOWED}. {KEPT}")
    if len(candidates) > 1:
        arns_of_name = " | ".join(one.arn for one in candidates)
        raise CliError(f"{execution!r} is the name of several executions; allowed: one of {arns_of_name}")
    return candidates[0]


def is_missing_execution(error: Exception) -> bool:
    """Returns whether Step Functions rejected a call because it does not know the execution."""
    return isinstance(error, ClientError) and error_code(error) in _UNKNOWN_CODES


def missing_execution(execution: str) -> str:
    """Returns the message for an execution that Step Functions does not know. It knows no Express execution."""
    if _is_express(execution):
        return (
            f"{execution} is an Express execution, which Step Functions does not keep: StartSyncExecution returns its "
            "result"
        )
    return (
        f"{execution!r} is not an execution; allowed: the ARN of an execution of this account and Region, as "
        f"`sandpiper run` prints it. {KEPT}"
    )


def _is_express(execution: str) -> bool:
    parts = EXECUTION_ARN.fullmatch(execution)
    return parts is not None and parts["type"] == "express"


def _workflow_of(deployment: Deployment, arn: str) -> str:
    """Returns the workflow of an execution's ARN. Raises CliError if it is none of the tenant's."""
    parts = EXECUTION_ARN.fullmatch(arn)
    if parts is None:
        raise CliError(f"{arn!r} is not the ARN of an execution; {ALLOWED}")
    _, _, _, region, account, *_ = deployment.run_code_arn.split(":")
    if parts["account"] != account:
        raise CliError(f"{arn} is of account {parts['account']}; allowed: executions of account {account}")
    if parts["region"] != region:
        raise CliError(f"{arn} is of region {parts['region']}; allowed: executions of region {region}")
    machines = {machine.rpartition(":")[2]: workflow for workflow, machine in deployment.workflows.items()}
    if parts["machine"] not in machines:
        raise CliError(
            f"{arn} is of state machine {parts['machine']}; allowed: executions of {' | '.join(machines)}. Choose "
            "another tenant with --tenant and --environment, or read executions of other state machines with "
            "`aws stepfunctions describe-execution`"
        )
    if _is_express(arn):
        raise CliError(missing_execution(arn))
    return machines[parts["machine"]]


def _executions_arn(machine: str) -> str:
    return machine.replace(":stateMachine:", ":execution:", 1)


def _describe(session: boto3.Session, arn: str, workflow: str) -> Execution | None:
    with aws_errors_as_cli_errors("states:DescribeExecution"):
        try:
            return from_description(session.client("stepfunctions").describe_execution(executionArn=arn), workflow)
        except ClientError as error:
            if is_missing_execution(error):
                return None
            raise
