"""Reads the policies of existing execution roles and of an existing data bucket, and checks them.

The calls only read. A document that cannot be read is a finding, not an omission.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.aws_errors import error_code
from sandpiper.plan.assembly import tenant_of
from sandpiper.plan.resource_types import BUCKET
from sandpiper.status.external.bucket_policy import Bucket, bucket_policy_problems
from sandpiper.status.external.permissions import Folder, permission_problems
from sandpiper.status.external.trust import TrustedInterpreter, trust_problems
from sandpiper.status.model import ExternalResource
from sandpiper_contract import settings
from sandpiper_policy.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from sandpiper.plan.deployed import Account, DeployedStack

    Users = list[tuple[TrustedInterpreter, Folder]]
    """The interpreters that use a role, each with its folder in the data bucket."""

NO_POLICY = "NoSuchBucketPolicy"
TRUST_REMEDY = (
    "let the role trust bedrock-agentcore.amazonaws.com only, with aws:SourceAccount {account} and aws:SourceArn"
)
PERMISSIONS_REMEDY = "limit the role to what its code needs: code can read its credentials"
BUCKET_REMEDY = "copy the statements from the template of an environment that creates its bucket"


def check_external_resources(
    account: Account, environment: str, stacks: Sequence[DeployedStack]
) -> Iterator[ExternalResource]:
    """Yields the problems of roles and of the bucket that the stacks use and do not contain.

    Args:
        account: Where the environment is deployed.
        environment: The environment's name.
        stacks: All stacks of the environment.
    """
    for role, users in _existing_roles(stacks).items():
        yield from _role(account, role, users)
    for name, tenants in existing_buckets(stacks).items():
        yield from check_bucket(account, Bucket(name, environment, account.target), tenants)


def existing_buckets(stacks: Sequence[DeployedStack]) -> dict[str, list[str]]:
    """Returns the names of the data buckets that the stacks use and do not contain, each with its tenants."""
    created = {name for stack in stacks for name in _bucket_names(stack)}
    found: dict[str, list[str]] = defaultdict(list)
    for stack in stacks:
        bucket, tenant = stack.outputs.get("DataBucketName"), tenant_of(stack.name)
        if bucket and tenant and bucket not in created:
            found[bucket].append(tenant)
    return found


def _existing_roles(stacks: Sequence[DeployedStack]) -> dict[str, Users]:
    """Returns the execution roles whose ARNs are in templates, because no stack creates them."""
    roles: dict[str, Users] = defaultdict(list)
    for stack in stacks:
        for key, interpreter in stack.template.interpreters.items():
            role = interpreter.properties.get("ExecutionRoleArn")
            if isinstance(role, str):
                bucket, prefix = (stack.outputs.get(name, "") for name in ("DataBucketName", "DataPrefix"))
                trusted = TrustedInterpreter(str(interpreter.properties["Name"]), stack.template.target)
                roles[role].append((trusted, Folder(bucket, f"{prefix}/{settings.SANDBOX}/{key}")))
    return roles


def _bucket_names(stack: DeployedStack) -> Iterator[str]:
    for one in stack.template.of_type(BUCKET).values():
        yield str(stack.template.resolve(one.properties.get("BucketName")))


def _role(account: Account, arn: str, users: Users) -> Iterator[ExternalResource]:
    iam, name = account.session.client("iam"), arn.rpartition("/")[2]
    label = f"execution role {arn}"
    interpreters, folders = [one for one, _ in users], [folder for _, folder in users]
    patterns = ", ".join(one.allowed_pattern for one in interpreters)
    trust_remedy = f"{TRUST_REMEDY.format(account=account.target.account)} {patterns}"
    with _findings(label, "iam:GetRole") as found:
        role = cast("dict[str, Any]", iam.get_role(RoleName=name)["Role"])
        if role["Arn"] != arn:
            found.append(_finding(label, f"does not exist: the role of that name is {role['Arn']}", "correct the ARN"))
        problems = trust_problems(role["AssumeRolePolicyDocument"], interpreters)
        found += [_finding(label, problem, trust_remedy) for problem in problems]
    yield from found
    actions = (
        "iam:ListRolePolicies, iam:GetRolePolicy, iam:ListAttachedRolePolicies, iam:GetPolicy, iam:GetPolicyVersion"
    )
    with _findings(label, actions) as found:
        for policy, document in _policies(iam, name):
            problems = permission_problems(f"policy {policy}", document, folders)
            found += [_finding(label, problem, PERMISSIONS_REMEDY) for problem in problems]
    yield from found


def _policies(iam: Any, role: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields the inline and the attached policies of a role by name."""
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
        for name in page["PolicyNames"]:
            yield name, iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
        for one in page["AttachedPolicies"]:
            arn = one["PolicyArn"]
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
            yield one["PolicyName"], document


def check_bucket(account: Account, bucket: Bucket, tenants: Sequence[str]) -> Iterator[ExternalResource]:
    """Yields the problems of the policy of an existing bucket for the tenants that use it."""
    label, s3 = f"data bucket {bucket.name}", account.session.client("s3")
    with _findings(label, "s3:GetBucketPolicy") as found:
        document: str | None = None
        try:
            owner = account.target.account
            document = s3.get_bucket_policy(Bucket=bucket.name, ExpectedBucketOwner=owner)["Policy"]
        except ClientError as error:
            if error_code(error) != NO_POLICY:
                raise
            found.append(_finding(label, "has no policy", BUCKET_REMEDY))
        problems = bucket_policy_problems(document, bucket, tenants)
        found += [_finding(label, problem, BUCKET_REMEDY) for problem in problems]
    yield from found


@contextmanager
def _findings(resource: str, actions: str) -> Generator[list[ExternalResource]]:
    """Collects the findings of a resource. If it cannot be read or evaluated, that is a finding."""
    found: list[ExternalResource] = []
    try:
        yield found
    except ClientError as error:
        if error_code(error) in ("NoSuchEntity", "NoSuchBucket"):
            found.append(_finding(resource, "does not exist", "create it, or name another one in the environment file"))
            return
        problem = f"could not be checked, so nothing is known about it: {error}"
        found.append(_finding(resource, problem, f"allow this command {actions}"))
    except BotoCoreError as error:
        problem = f"could not be checked, so nothing is known about it: {error}"
        found.append(_finding(resource, problem, "try again"))
    except PolicyError as error:
        problem = f"has a policy that could not be evaluated: {error}"
        found.append(_finding(resource, problem, "correct the policy, or review it"))


def _finding(resource: str, problem: str, remedy: str) -> ExternalResource:
    return ExternalResource(resource=resource, problem=problem, remedy=remedy)
