"""`sandpiper runs approve` and `reject`: answer the approval that a run waits for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from sandpiper.cli.options import ENVIRONMENT, TENANT
from sandpiper.cli.output import errors_as_messages, print_note
from sandpiper.cli.runs.arguments import EXECUTION

if TYPE_CHECKING:
    import boto3

APPROVE_EXAMPLES = """
[bold]Examples[/]

  sandpiper runs show nightly-1

  sandpiper runs approve nightly-1

  sandpiper runs approve arn:aws:states:eu-west-1:123456789012:execution:sandpiper-prod-claims-run-session:nightly-1
"""
REJECT_EXAMPLES = """
[bold]Examples[/]

  sandpiper runs reject nightly-1 --reason 'the total is wrong'
"""
BY = typer.Option("--by", help="Who answers, for the result. Default: the ARN of the credentials.", metavar="NAME")


def approve(
    execution: Annotated[str, EXECUTION],
    by: Annotated[str | None, BY] = None,
    environment: Annotated[str | None, ENVIRONMENT] = None,
    tenant: Annotated[str | None, TENANT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answered approval as JSON.")] = False,
) -> None:
    """Approve, so that the next step of the run starts."""
    with errors_as_messages():
        from sandpiper import approvals, deployment  # here, so that --help does not import boto3
        from sandpiper.runs.finding import find_execution

        session, target = deployment.connect_for(execution, environment, tenant)
        found = find_execution(session, target, execution)
        pending = approvals.approve(session, found.arn, by or _caller(session))
        _print("approved", found.arn, pending.step, pending.message, as_json=as_json)


def reject(
    execution: Annotated[str, EXECUTION],
    reason: Annotated[str, typer.Option(help="Why, for the error of the execution.", metavar="TEXT")] = "",
    by: Annotated[str | None, BY] = None,
    environment: Annotated[str | None, ENVIRONMENT] = None,
    tenant: Annotated[str | None, TENANT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answered approval as JSON.")] = False,
) -> None:
    """Reject, so that the run ends its session and fails with ApprovalRejected."""
    with errors_as_messages():
        from sandpiper import approvals, deployment  # here, so that --help does not import boto3
        from sandpiper.runs.finding import find_execution

        session, target = deployment.connect_for(execution, environment, tenant)
        found = find_execution(session, target, execution)
        pending = approvals.reject(session, found.arn, by or _caller(session), reason)
        _print("rejected", found.arn, pending.step, pending.message, as_json=as_json)


def _caller(session: boto3.Session) -> str:
    """Returns the ARN of the credentials, for which AWS requires no permission."""
    from sandpiper.aws_errors import aws_errors_as_cli_errors

    with aws_errors_as_cli_errors("sts:GetCallerIdentity"):
        return session.client("sts").get_caller_identity()["Arn"]


def _print(answer: str, arn: str, step: int, message: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"arn": arn, "answer": answer, "step": step, "message": message}, indent=2))
    else:
        print_note(f"{answer} step {step}: {message}")
