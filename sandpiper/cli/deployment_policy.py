"""`sandpiper deployment-policy`: the policies for the role in which CloudFormation deploys an environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sandpiper.cli.options import ENVIRONMENT
from sandpiper.cli.output import failures_as_messages, notes, plain
from sandpiper.errors import CliError
from sandpiper_contract.aws import BOOTSTRAP_QUALIFIER


def deployment_policy(
    environment: Annotated[str, ENVIRONMENT] = "local",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the policies, a file each; printed unless given.", metavar="DIR")
    ] = None,
    qualifier: Annotated[
        str, typer.Option(help="The qualifier that `cdk bootstrap` was given, if any.", metavar="TEXT")
    ] = BOOTSTRAP_QUALIFIER,
) -> None:
    """Write the IAM policies with which this environment can be deployed, changed and deleted.

    For `cdk bootstrap --cloudformation-execution-policies`, instead of AdministratorAccess.
    """
    with failures_as_messages():
        from sandpiper.deployment_policy import (
            MIN_STACK_NAME_CHARACTERS,
            generated_name_prefix,
            policy_documents,
            unscoped_grants,
        )
        from sandpiper.environment import InvalidEnvironment, load

        file = Path(environment) if environment.endswith(".yaml") else Path("environments", f"{environment}.yaml")
        try:
            loaded = load(file)
        except InvalidEnvironment as error:
            raise CliError(str(error)) from None
        policies = policy_documents(loaded, qualifier)
        prefix = generated_name_prefix(loaded.name)
        if len(prefix) == MIN_STACK_NAME_CHARACTERS:
            notes.print(
                f"warning: CloudFormation may cut generated names after {prefix}, so the policy admits "
                f"roles and functions of every environment whose name begins like that",
                soft_wrap=True,
            )
        for name, reason in unscoped_grants(loaded).items():
            notes.print(plain(f"{name} is not held to this environment's own resources: {reason}"), soft_wrap=True)
        if out is None:
            print(json.dumps(policies, indent=2))
            return
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name, document in policies.items():
                path = out / f"{name}.json"
                path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
                notes.print(plain(f"wrote {path}"), soft_wrap=True)
        except OSError as error:
            raise CliError(f"--out {out}: {error.strerror}") from None
