"""Finds what a deployment made, by the outputs of its tenant's stack; the stacks' code is never asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.failure import Failure
from sandpiper.names import stack_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3


@dataclass(frozen=True)
class Deployment:
    """One tenant as it is deployed. `interpreters` holds identifiers by key, the default first."""

    run_code_arn: str
    bucket: str
    prefix: str
    interpreters: Mapping[str, str]


def find(session: boto3.Session, environment: str, tenant: str) -> Deployment:
    """Reads the outputs of stack `sandpiper-ENVIRONMENT-TENANT`; raises Failure when it is not deployed."""
    name = stack_name(environment, tenant)
    try:
        stacks = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise Failure(f"the stack {name} cannot be read: {error}") from None
        raise Failure(
            f"the stack {name} is not deployed here: run `cdk deploy --all -c environment={environment}`"
        ) from None
    except BotoCoreError as error:
        raise Failure(
            f"AWS cannot be reached ({error}): for the embedded AWS, run `sandpiper local start` and "
            'eval "$(sandpiper local env)"'
        ) from None
    outputs = {output.get("OutputKey"): output.get("OutputValue", "") for output in stacks[0].get("Outputs", [])}
    return Deployment(
        run_code_arn=outputs["RunCodeStateMachineArn"],
        bucket=outputs["DataBucketName"],
        prefix=outputs["DataPrefix"],
        interpreters=json.loads(outputs["Interpreters"]),
    )
