"""The command `sandpiper deployment-policy`: writes the IAM policies that CloudFormation needs."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - Typer reads the annotation
from typing import Annotated

import typer

from sandpiper.cli.options import ENVIRONMENT
from sandpiper.cli.output import errors_as_messages, notes
from sandpiper.errors import CliError
from sandpiper_contract.aws import BOOTSTRAP_QUALIFIER

EXAMPLES = """
[bold]Examples[/]

  sandpiper deployment-policy -e prod

  sandpiper deployment-policy -e prod --out out/policies
"""


def deployment_policy(
    environment: Annotated[str, ENVIRONMENT] = "local",
    out: Annotated[
        Path | None, typer.Option(help="Folder to write the policies to, one file each. Default: print.", metavar="DIR")
    ] = None,
    qualifier: Annotated[str, typer.Option(help="Qualifier of `cdk bootstrap`.", metavar="TEXT")] = BOOTSTRAP_QUALIFIER,
) -> None:
    """Write the IAM policies that CloudFormation needs to deploy, change and delete an environment.

    Use them with `cdk bootstrap --cloudformation-execution-policies` instead of AdministratorAccess.
    """
    with errors_as_messages():
        from sandpiper.deployment import environment_file
        from sandpiper.deployment_policy import (
            MIN_STACK_NAME_CHARACTERS,
            generated_name_prefix,
            policy_documents,
            unscoped_grants,
        )
        from sandpiper.environment import load

        loaded = load(environment_file(environment))
        policies = policy_documents(loaded, qualifier)
        prefix = generated_name_prefix(loaded.name)
        if len(prefix) == MIN_STACK_NAME_CHARACTERS:
            notes.print(
                f"warning: CloudFormation can truncate generated names after {prefix}, so the policy allows roles and "
                "functions of every environment whose name starts with it",
                soft_wrap=True,
            )
        for sid, reason in unscoped_grants(loaded).items():
            notes.print(f"{sid} is not limited to this environment's resources: {reason}", soft_wrap=True)
        if out is None:
            print(json.dumps(policies, indent=2))
            return
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name, document in policies.items():
                path = out / f"{name}.json"
                path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
                notes.print(f"wrote {path}", soft_wrap=True)
        except OSError as error:
            raise CliError(f"--out {out}: {error.strerror}") from None
