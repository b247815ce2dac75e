"""Finds a deployed tenant by the outputs of its stack. The code of the stacks is never imported."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from local_aws import running_instance
from local_aws.settings import StateDirectory
from sandpiper.aws_errors import NO_CREDENTIALS
from sandpiper.errors import CliError
from sandpiper.names import EXECUTION_ARN, stack_name, tenant_of_state_machine
from sandpiper_contract.prices import LIST_PRICES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandpiper_contract.prices import Prices

LOOPBACK = ("127.0.0.1", "localhost")
LOCAL_TENANT = "demo"
"""The tenant of environments/local.yaml in the repository."""
STATE_MACHINE_OUTPUT = "StateMachineArn"
"""How the names of the stack's outputs end that contain the ARN of a workflow's state machine."""
USE_EMBEDDED_AWS = 'for the embedded AWS, run `sandpiper local start` and `eval "$(sandpiper local env)"`'


@dataclass(frozen=True)
class Deployment:
    """One deployed tenant.

    Attributes:
        account: the ID of the account.
        endpoint: the endpoint of CloudFormation: AWS or the embedded AWS.
        run_code_arn: the ARN of the `run-code` state machine.
        bucket: the data bucket.
        prefix: the tenant's folder in the bucket, without a slash at its end.
        interpreters: the identifiers by key, the default interpreter first.
        workflows: the ARNs of the tenant's state machines by the name of the workflow, such as `run-code`.
        max_batch_concurrency: the maximum number of sessions of one batch; None if the tenant has no batches, or was
            deployed by an older release.
    """

    account: str
    endpoint: str
    run_code_arn: str
    bucket: str
    prefix: str
    interpreters: Mapping[str, str]
    workflows: Mapping[str, str]
    max_batch_concurrency: int | None = None

    def execution_arn(self, execution: str) -> str:
        """Returns the ARN of an execution, given by its ARN or by its name in the tenant's `run-code` workflow."""
        if execution.startswith("arn:"):
            return execution
        return f"{self.run_code_arn.replace(':stateMachine:', ':execution:', 1)}:{execution}"


def environment_file(environment: str) -> Path:
    """Returns the file of an environment, given by its name or by the path of the file."""
    return Path(environment) if environment.endswith(".yaml") else Path("environments", f"{environment}.yaml")


def session_for(environment: str, region: str | None = None) -> boto3.Session:
    """Returns a session in a region, by default that of the shell, or without one that of the environment file.

    Raises:
        CliError: Neither has a region, the profile does not exist, or the file is invalid.
    """
    try:
        # boto3 reads only AWS_DEFAULT_REGION
        session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
    except BotoCoreError as error:
        raise CliError(f"no AWS session can be created: {error}") from None
    if session.region_name:
        return session
    file = environment_file(environment)
    if not file.exists():
        raise CliError(f"no region: set AWS_REGION, or run the command where {file} exists; {USE_EMBEDDED_AWS}")
    from sandpiper.environment import load  # here, because the import takes longer than the rest of the command

    return boto3.Session(region_name=load(file).region)


def prices_of(environment: str) -> Prices:
    """Returns the prices of the environment file, and list prices without a file. Raises CliError if it is invalid."""
    file = environment_file(environment)
    if not file.exists():
        return LIST_PRICES
    from sandpiper.environment import load

    return load(file).prices.prices


def require_intended_endpoint(session: boto3.Session, environment: str) -> None:
    """Raises CliError when `local` would use AWS although an embedded AWS runs in the current folder.

    That happens when the variables of `sandpiper local env` are not set.
    """
    endpoint = session.client("cloudformation").meta.endpoint_url
    if environment_file(environment).stem != "local" or urlsplit(endpoint).hostname in LOOPBACK:
        return
    if running := running_instance.find(StateDirectory(Path())):
        raise CliError(
            f"the command would use {endpoint} instead of the embedded AWS that runs here at {running.url}: "
            'run `eval "$(sandpiper local env)"`; to use AWS, choose another --environment or run '
            "`sandpiper local stop`"
        )


def connect(environment: str | None, tenant: str | None) -> tuple[boto3.Session, Deployment]:
    """Returns a session and the deployed tenant for the options of a command.

    Args:
        environment: the name or the file of the environment. Default: `local`.
        tenant: the tenant. Default: the only one of the environment.

    Raises:
        CliError: The tenant is not deployed or not determined, or AWS cannot be reached.
    """
    name = environment or "local"
    session = session_for(name)
    require_intended_endpoint(session, name)
    return session, find(session, name, tenant or only_tenant(name))


def connect_for(execution: str, environment: str | None, tenant: str | None) -> tuple[boto3.Session, Deployment]:
    """Returns a session and the deployed tenant of an execution.

    The name of the state machine in an ARN contains the environment and the tenant, so an ARN needs no option. The
    region is then also that of the ARN. An option that contradicts the ARN is not replaced.

    Args:
        execution: the ARN of an execution, or its name.
        environment: the option `--environment`, which a name needs, as for `connect`.
        tenant: the option `--tenant`, which a name needs, as for `connect`.

    Raises:
        CliError: The tenant is not deployed or not determined, or AWS cannot be reached.
    """
    parts = EXECUTION_ARN.fullmatch(execution)
    named = parts and tenant_of_state_machine(parts["machine"])
    if not parts or not named or (environment and environment_file(environment).stem != named[0]):
        return connect(environment, tenant)
    name = environment or named[0]
    session = session_for(name, None if environment else parts["region"])
    require_intended_endpoint(session, name)
    credentials = f"use credentials of account {parts['account']}, which the ARN of the execution names, or deploy it"
    return session, find(session, name, tenant or named[1], credentials)


def only_tenant(environment: str) -> str:
    """Returns the tenant of an environment with one tenant. Without a file, returns the tenant of `local`.

    Raises:
        CliError: The environment has several tenants, has no file and is not `local`, or its file is invalid.
    """
    from sandpiper.environment import load

    file = environment_file(environment)
    if not file.exists():
        if environment == "local":
            return LOCAL_TENANT
        raise CliError(
            f"no file {file} in {Path.cwd()}, which names the tenants of the environment; run the command where the "
            "file is, pass its path with --environment, or pass --tenant"
        )
    tenants = list(load(file).all_tenants)
    if len(tenants) > 1:
        raise CliError(f"--tenant is missing, and {file} has several tenants; allowed: {' | '.join(tenants)}")
    return tenants[0]


def find(session: boto3.Session, environment: str, tenant: str, remedy: str | None = None) -> Deployment:
    """Returns a deployed tenant.

    Args:
        session: the credentials.
        environment: the name or the file of the environment.
        tenant: the tenant.
        remedy: what to do if the tenant is not deployed. Default: derived from the environment file.

    Raises:
        CliError: The tenant is not deployed, or its stack cannot be read.
    """
    name = stack_name(environment_file(environment).stem, tenant)
    client = session.client("cloudformation")
    try:
        stacks = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise CliError(f"stack {name} cannot be read: {error}") from None
        where = f"stack {name} is not deployed at {client.meta.endpoint_url}"
        raise CliError(f"{where}: {remedy or _remedy(environment, tenant)}") from None
    except BotoCoreError as error:
        hint = f"; {USE_EMBEDDED_AWS}" if environment == "local" or "AWS_ENDPOINT_URL" in os.environ else ""
        problem = NO_CREDENTIALS if isinstance(error, NoCredentialsError) else f"AWS cannot be reached: {error}"
        raise CliError(f"{problem}{hint}") from None
    outputs = {output.get("OutputKey"): output.get("OutputValue", "") for output in stacks[0].get("Outputs", [])}
    try:
        return Deployment(
            account=stacks[0].get("StackId", "").split(":")[4],
            endpoint=client.meta.endpoint_url,
            run_code_arn=outputs["RunCodeStateMachineArn"],
            bucket=outputs["DataBucketName"],
            prefix=outputs["DataPrefix"],
            interpreters=json.loads(outputs["Interpreters"]),
            workflows=_workflows(outputs, name),
            max_batch_concurrency=int(outputs["MaxBatchConcurrency"]) if "MaxBatchConcurrency" in outputs else None,
        )
    except KeyError as missing:
        raise CliError(
            f"stack {name} is not the stack of a tenant, because it has no output {missing}: choose another --tenant"
        ) from None


def _workflows(outputs: Mapping[str | None, str], stack: str) -> dict[str, str]:
    """Returns the state machines by the name of the workflow, which follows the name of the stack."""
    arns = [value for key, value in outputs.items() if key and key.endswith(STATE_MACHINE_OUTPUT)]
    return {arn.rpartition(":")[2].removeprefix(f"{stack}-"): arn for arn in sorted(arns)}


def _remedy(environment: str, tenant: str) -> str:
    """Returns the remedy for a missing stack: choose another environment or tenant, or deploy."""
    from sandpiper.environment import InvalidEnvironment, load

    file = environment_file(environment)
    if not file.exists():
        names = " | ".join(sorted(path.stem for path in file.parent.glob("*.yaml")))
        return f"choose another --environment{f' of {names}' if names else ''}, and one of its tenants with --tenant"
    try:
        tenants = load(file).all_tenants
    except InvalidEnvironment as error:  # the missing stack stays the first thing that the message states
        return str(error)
    if tenant not in tenants:
        return f"--tenant is {tenant!r}; allowed: {' | '.join(tenants)}"
    return f"run `cdk bootstrap` once and `cdk deploy --all -c environment={environment}`"
