"""What is deployed of an environment, asked of AWS: its stacks with their templates, live sessions, what folders hold.

Nothing here changes anything.
"""

from __future__ import annotations

import datetime
import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from sandpiper.errors import CliError
from sandpiper.names import stack_name
from sandpiper.plan.model import Objects, Session
from sandpiper.plan.template import Place, Template, read

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import boto3

NOT_MADE = ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE")
"""Statuses of what has a name, and no resource."""
MOST_OBJECTS = 10_000
"""How many of a folder are counted; each thousand is a call."""


@dataclass(frozen=True)
class DeployedStack:
    """A stack that CloudFormation has; `parameters` are as it resolved them."""

    name: str
    status: str
    is_protected: bool
    changed: datetime.datetime
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    tags: Mapping[str, str]
    template: Template


class Account:
    """The account and region where an environment is deployed."""

    def __init__(self, session: boto3.Session, place: Place | None) -> None:
        """Raises CliError without credentials, and for credentials of another account than the place's."""
        self.session = session
        with failing_as_messages("sts:GetCallerIdentity"):
            actual = session.client("sts").get_caller_identity()["Account"]
        self.place = Place(actual, session.region_name)
        if place is not None and place.account.isdecimal() and actual != place.account:
            raise CliError(
                f"these credentials are those of account {actual}; the environment is in {place.account}: choose "
                "another profile, or another --environment"
            )

    def stacks(self, environment: str) -> dict[str, DeployedStack]:
        """The environment's stacks by name."""
        client = self.session.client("cloudformation")
        found: dict[str, DeployedStack] = {}
        with failing_as_messages("cloudformation:DescribeStacks and GetTemplate"):
            for page in client.get_paginator("describe_stacks").paginate():
                for one in page["Stacks"]:
                    name = one["StackName"]
                    if not name.startswith(stack_name(environment, "")) or one["StackStatus"] in NOT_MADE:
                        continue
                    body: object = client.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
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
                        template=read(name, body if isinstance(body, str) else json.dumps(body), self.place),
                    )
        return found

    def physical_ids(self, stack: str) -> dict[str, str]:
        """Of a stack's resources, by logical id."""
        with failing_as_messages("cloudformation:ListStackResources"):
            pager = self.session.client("cloudformation").get_paginator("list_stack_resources")
            return {
                one["LogicalResourceId"]: one.get("PhysicalResourceId", "")
                for page in pager.paginate(StackName=stack)
                for one in page["StackResourceSummaries"]
            }

    def sessions(self, interpreter: str) -> tuple[Session, ...]:
        """Live sessions of an interpreter by its identifier; none of one that is not there."""
        found: list[Session] = []
        token: dict[str, Any] = {}
        with failing_as_messages("bedrock-agentcore:ListCodeInterpreterSessions"):
            while True:
                try:
                    page = self._agentcore.list_code_interpreter_sessions(
                        codeInterpreterIdentifier=interpreter, status="READY", **token
                    )
                except ClientError as error:
                    if code_of(error) == "ResourceNotFoundException":
                        return ()
                    raise
                found += [Session(id=one["sessionId"], since=one["createdAt"]) for one in page["items"]]
                if not page.get("nextToken"):
                    return tuple(found)
                token = {"nextToken": page["nextToken"]}

    def count(self, bucket: str, folder: str, days: int) -> Objects | None:
        """Objects below a folder, and how many are older than days; None where they cannot be listed."""
        line = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
        pages = self.session.client("s3").get_paginator("list_objects_v2")
        total = older = older_bytes = 0
        try:
            for page in pages.paginate(Bucket=bucket, Prefix=folder):
                for one in page.get("Contents", []):
                    total += 1
                    if one.get("LastModified", line) < line:
                        older, older_bytes = older + 1, older_bytes + one.get("Size", 0)
                if total >= MOST_OBJECTS and page["IsTruncated"]:
                    return Objects(total=total, older=older, older_bytes=older_bytes, is_all=False)
        except (ClientError, BotoCoreError):
            return None
        return Objects(total=total, older=older, older_bytes=older_bytes, is_all=True)

    def has_bucket(self, name: str) -> bool:
        """Whether the account has a bucket of a name; one that cannot be asked for counts as none."""
        try:
            self.session.client("s3").head_bucket(Bucket=name)
        except (ClientError, BotoCoreError):
            return False
        return True

    def bootstrap_version(self, parameter: str) -> int | None:
        """The version that `cdk bootstrap` wrote into an SSM parameter; None where it did not."""
        session: Any = self.session  # whose types are not those of every service
        with failing_as_messages("ssm:GetParameter of the bootstrap's version"):
            try:
                return int(session.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"])
            except ClientError as error:
                if code_of(error) == "ParameterNotFound":
                    return None
                raise

    @cached_property
    def _agentcore(self) -> Any:
        return self.session.client("bedrock-agentcore")


def code_of(error: ClientError) -> str:
    """The name of what AWS answered."""
    return str(cast("dict[str, Any]", error.response).get("Error", {}).get("Code", ""))


@contextmanager
def failing_as_messages(actions: str) -> Generator[None]:
    """Raises CliError for what AWS refuses; `actions` are those that the caller needs."""
    try:
        yield
    except NoCredentialsError:
        raise CliError("no credentials: sign in (`aws sso login`), or set AWS_PROFILE") from None
    except NoRegionError:
        raise CliError("no region: set AWS_REGION") from None
    except ClientError as error:
        raise CliError(f"AWS refused: {error}; needed: {actions}") from None
    except BotoCoreError as error:
        raise CliError(f"AWS cannot be reached ({error})") from None
