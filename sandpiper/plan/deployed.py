"""Reads the deployed state of an environment: stacks with their templates, live sessions and objects in buckets."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.aws_errors import aws_errors_as_cli_errors, error_code
from sandpiper.errors import CliError
from sandpiper.names import stack_name
from sandpiper.plan.model import Objects, Session
from sandpiper.plan.target import DeploymentTarget
from sandpiper.plan.template import Template, parse_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

IGNORED_STATUSES = ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE")
"""Statuses of stacks that have a name but no resources."""
MAX_COUNTED_OBJECTS = 10_000
"""Objects that are counted in a folder; each 1,000 cost one call."""


@dataclass(frozen=True)
class DeployedStack:
    """A deployed stack; `parameters` have the values that CloudFormation resolved."""

    name: str
    status: str
    is_protected: bool
    changed: datetime.datetime
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    tags: Mapping[str, str]
    template: Template


class Account:
    """The account and region where an environment is deployed.

    Methods raise CliError when AWS refuses a call or cannot be reached.
    """

    def __init__(self, session: boto3.Session, target: DeploymentTarget | None) -> None:
        """Checks the credentials.

        Args:
            session: the credentials and region.
            target: where the environment is deployed, if known.

        Raises:
            CliError: There are no credentials, or they belong to another account than the target's.
        """
        self.session = session
        self._parameters: dict[str, str | None] = {}
        with aws_errors_as_cli_errors("sts:GetCallerIdentity"):
            account = session.client("sts").get_caller_identity()["Account"]
        self.target = DeploymentTarget(account, session.region_name)
        if target is not None and target.account.isdecimal() and account != target.account:
            raise CliError(
                f"the credentials are of account {account}, but the environment is in account {target.account}: choose "
                "another profile or another --environment"
            )

    def stacks(self, environment: str) -> dict[str, DeployedStack]:
        """Returns the stacks of an environment by name."""
        client = self.session.client("cloudformation")
        found: dict[str, DeployedStack] = {}
        with aws_errors_as_cli_errors("cloudformation:DescribeStacks and cloudformation:GetTemplate"):
            for page in client.get_paginator("describe_stacks").paginate():
                for one in page["Stacks"]:
                    name = one["StackName"]
                    if not name.startswith(stack_name(environment, "")) or one["StackStatus"] in IGNORED_STATUSES:
                        continue
                    body: object = client.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
                    text = body if isinstance(body, str) else json.dumps(body)
                    found[name] = DeployedStack(
                        name=name,
                        status=one["StackStatus"],
                        is_protected=one.get("EnableTerminationProtection", False),
                        changed=one.get("LastUpdatedTime", one["CreationTime"]),
                        parameters={
                            each.get("ParameterKey", ""): each.get("ResolvedValue") or each.get("ParameterValue", "")
                            for each in one.get("Parameters", [])
                        },
                        outputs={
                            each.get("OutputKey", ""): each.get("OutputValue", "") for each in one.get("Outputs", [])
                        },
                        tags={each["Key"]: each["Value"] for each in one.get("Tags", [])},
                        template=parse_template(name, text, self.target),
                    )
        return found

    def physical_ids(self, stack: str) -> dict[str, str]:
        """Returns the physical IDs of a stack's resources by logical ID."""
        with aws_errors_as_cli_errors("cloudformation:ListStackResources"):
            paginator = self.session.client("cloudformation").get_paginator("list_stack_resources")
            return {
                one["LogicalResourceId"]: one.get("PhysicalResourceId", "")
                for page in paginator.paginate(StackName=stack)
                for one in page["StackResourceSummaries"]
            }

    def sessions(self, interpreter: str) -> tuple[Session, ...]:
        """Returns the live sessions of an interpreter; none when the interpreter does not exist."""
        found: list[Session] = []
        token: dict[str, Any] = {}
        with aws_errors_as_cli_errors("bedrock-agentcore:ListCodeInterpreterSessions"):
            while True:
                try:
                    page = self._agentcore.list_code_interpreter_sessions(
                        codeInterpreterIdentifier=interpreter, status="READY", **token
                    )
                except ClientError as error:
                    if error_code(error) == "ResourceNotFoundException":
                        return ()
                    raise
                found += [Session(id=one["sessionId"], since=one["createdAt"]) for one in page["items"]]
                if not page.get("nextToken"):
                    return tuple(found)
                token = {"nextToken": page["nextToken"]}

    def count(self, bucket: str, folder: str, days: int) -> Objects | None:
        """Counts the objects of a folder, and those older than a number of days; None when they cannot be listed."""
        limit = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
        paginator = self.session.client("s3").get_paginator("list_objects_v2")
        total = older = older_bytes = 0
        try:
            for page in paginator.paginate(Bucket=bucket, Prefix=folder):
                for one in page.get("Contents", []):
                    total += 1
                    if one.get("LastModified", limit) < limit:
                        older, older_bytes = older + 1, older_bytes + one.get("Size", 0)
                if total >= MAX_COUNTED_OBJECTS and page["IsTruncated"]:
                    return Objects(total=total, older=older, older_bytes=older_bytes, is_all=False)
        except (ClientError, BotoCoreError):
            return None
        return Objects(total=total, older=older, older_bytes=older_bytes, is_all=True)

    def has_bucket(self, name: str) -> bool:
        """Returns whether the account has a bucket of this name; False also if AWS does not respond."""
        try:
            self.session.client("s3").head_bucket(Bucket=name)
        except (ClientError, BotoCoreError):
            return False
        return True

    def bootstrap_version(self, parameter: str) -> int | None:
        """Returns the version in the SSM parameter of a bootstrap stack, or None when there is no such parameter."""
        value = self.parameter(parameter)
        return None if value is None else int(value)

    def parameter(self, name: str) -> str | None:
        """Returns the value of an SSM parameter, or None when it does not exist. Each parameter is read once."""
        if name not in self._parameters:
            with aws_errors_as_cli_errors(f"ssm:GetParameter for {name}"):
                try:
                    self._parameters[name] = self._ssm.get_parameter(Name=name)["Parameter"]["Value"]
                except ClientError as error:
                    if error_code(error) != "ParameterNotFound":
                        raise
                    self._parameters[name] = None
        return self._parameters[name]

    @cached_property
    def _ssm(self) -> Any:
        session: Any = self.session  # its type has no SSM client
        return session.client("ssm")

    @cached_property
    def _agentcore(self) -> Any:
        return self.session.client("bedrock-agentcore")
