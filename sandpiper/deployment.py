"""Finds what a deployment made, by the outputs of its tenant's stack; the stacks' code is never asked."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local_aws import running_instance
from local_aws.settings import StateDirectory
from sandpiper.errors import CliError
from sandpiper.names import stack_name

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPBACK = ("127.0.0.1", "localhost")
LOCAL_TENANT = "demo"
"""Of the repository's environments/local.yaml."""
LOCAL = 'for the embedded AWS, run `sandpiper local start` and `eval "$(sandpiper local env)"`'


@dataclass(frozen=True)
class Deployment:
    """One tenant as it is deployed, in an account behind an endpoint.

    `interpreters` holds identifiers by key, the default first.
    """

    account: str
    endpoint: str
    run_code_arn: str
    bucket: str
    prefix: str
    interpreters: Mapping[str, str]


def file_of(environment: str) -> Path:
    """Where an environment is written, by its name or as this very file; its name is the file's."""
    return Path(environment) if environment.endswith(".yaml") else Path("environments", f"{environment}.yaml")


def session_for(environment: str) -> boto3.Session:
    """A session in the region that the shell names, or else in the environment file's. Raises CliError for neither."""
    try:
        session = boto3.Session(region_name=os.environ.get("AWS_REGION"))  # which boto3 itself does not look at
    except BotoCoreError as error:
        raise CliError(f"AWS cannot be used: {error}") from None
    if session.region_name:
        return session
    file = file_of(environment)
    if not file.exists():
        raise CliError(f"no region: set AWS_REGION, or run this beside {file}; {LOCAL}")
    from sandpiper.environment import InvalidEnvironment, load  # here: it takes longer than all the rest

    try:
        return boto3.Session(region_name=load(file).region)
    except InvalidEnvironment as error:
        raise CliError(str(error)) from None


def require_meant(session: boto3.Session, environment: str) -> None:
    """Raises CliError where `local` would go to AWS while an embedded AWS runs here: its variables were not set."""
    endpoint = session.client("cloudformation").meta.endpoint_url
    if file_of(environment).stem != "local" or urlsplit(endpoint).hostname in LOOPBACK:
        return
    if running := running_instance.find(StateDirectory(Path())):
        raise CliError(
            f"this would go to {endpoint}, and not to the embedded AWS that runs here at {running.url}: "
            'run `eval "$(sandpiper local env)"`; for AWS itself, name another --environment, or run '
            "`sandpiper local stop`"
        )


def only_tenant(environment: str) -> str:
    """The tenant of an environment that has one; that of `local` where its file is not here. Raises CliError."""
    from sandpiper.environment import InvalidEnvironment, load

    file = file_of(environment)
    if not file.exists():
        return LOCAL_TENANT
    try:
        tenants = list(load(file).all_tenants)
    except InvalidEnvironment as error:
        raise CliError(str(error)) from None
    if len(tenants) > 1:
        raise CliError(f"--tenant is not given, and {file} has {' | '.join(tenants)}; allowed: one of them")
    return tenants[0]


def find(session: boto3.Session, environment: str, tenant: str) -> Deployment:
    """Reads the outputs of the tenant's stack; raises CliError when it is not deployed."""
    name = stack_name(file_of(environment).stem, tenant)
    client = session.client("cloudformation")
    try:
        stacks = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise CliError(f"the stack {name} cannot be read: {error}") from None
        fix = _to_deploy(environment, tenant)
        raise CliError(f"the stack {name} is not deployed at {client.meta.endpoint_url}: {fix}") from None
    except BotoCoreError as error:
        hint = f"; {LOCAL}" if environment == "local" or "AWS_ENDPOINT_URL" in os.environ else ""
        raise CliError(f"AWS cannot be reached ({error}){hint}") from None
    outputs = {output.get("OutputKey"): output.get("OutputValue", "") for output in stacks[0].get("Outputs", [])}
    try:
        return Deployment(
            account=stacks[0].get("StackId", "").split(":")[4],
            endpoint=client.meta.endpoint_url,
            run_code_arn=outputs["RunCodeStateMachineArn"],
            bucket=outputs["DataBucketName"],
            prefix=outputs["DataPrefix"],
            interpreters=json.loads(outputs["Interpreters"]),
        )
    except KeyError as missing:
        raise CliError(
            f"the stack {name} is not a tenant's: it has no output {missing}; choose another --tenant"
        ) from None


def _to_deploy(environment: str, tenant: str) -> str:
    """What to do about a stack that is missing: another name, where the environment's file has none, or a deploy."""
    from sandpiper.environment import InvalidEnvironment, load

    file = file_of(environment)
    if not file.exists():
        names = " | ".join(sorted(path.stem for path in file.parent.glob("*.yaml")))
        return f"choose another --environment{f' of {names}' if names else ''}, and a --tenant of it"
    try:
        tenants = load(file).all_tenants
    except InvalidEnvironment as error:
        return str(error)
    if tenant not in tenants:
        return f"--tenant is {tenant!r}; {file} has {' | '.join(tenants)}"
    return f"run `cdk bootstrap` once and `cdk deploy --all -c environment={environment}`"
