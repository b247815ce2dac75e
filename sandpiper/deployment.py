"""Finds what a deployment made, by the outputs of its tenant's stack; the stacks' code is never asked."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.failure import Failure
from sandpiper.names import stack_name

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL = 'for the embedded AWS, run `sandpiper local start` and `eval "$(sandpiper local env)"`'


@dataclass(frozen=True)
class Deployment:
    """One tenant as it is deployed. `interpreters` holds identifiers by key, the default first."""

    run_code_arn: str
    bucket: str
    prefix: str
    interpreters: Mapping[str, str]


def session_for(environment: str) -> boto3.Session:
    """A session in the region that the shell names, or else in the environment file's. Raises Failure for neither."""
    try:
        session = boto3.Session()
    except BotoCoreError as error:
        raise Failure(f"AWS cannot be used: {error}") from None
    if session.region_name:
        return session
    file = Path("environments", f"{environment}.yaml")
    if not file.exists():
        raise Failure(f"no region: set AWS_REGION, or run this beside {file}; {LOCAL}")
    from sandpiper.environment import InvalidEnvironment, load  # here: it takes longer than all the rest

    try:
        return boto3.Session(region_name=load(file).region)
    except InvalidEnvironment as error:
        raise Failure(str(error)) from None


def find(session: boto3.Session, environment: str, tenant: str) -> Deployment:
    """Reads the outputs of the tenant's stack; raises Failure when it is not deployed."""
    name = stack_name(environment, tenant)
    try:
        stacks = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise Failure(f"the stack {name} cannot be read: {error}") from None
        deploy = f"run `cdk deploy --all -c environment={environment}`"
        raise Failure(f"the stack {name} is not deployed here: {deploy}") from None
    except BotoCoreError as error:
        hint = f"; {LOCAL}" if environment == "local" or "AWS_ENDPOINT_URL" in os.environ else ""
        raise Failure(f"AWS cannot be reached ({error}){hint}") from None
    outputs = {output.get("OutputKey"): output.get("OutputValue", "") for output in stacks[0].get("Outputs", [])}
    try:
        return Deployment(
            run_code_arn=outputs["RunCodeStateMachineArn"],
            bucket=outputs["DataBucketName"],
            prefix=outputs["DataPrefix"],
            interpreters=json.loads(outputs["Interpreters"]),
        )
    except KeyError as missing:
        raise Failure(f"the stack {name} is not a tenant's: it has no output {missing}") from None
