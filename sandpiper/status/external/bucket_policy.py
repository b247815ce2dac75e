"""Checks the policy of an existing data bucket: it has to deny what the policy of a bucket of Sandpiper denies.

The policy is evaluated for requests of identities whose own policies allow everything. So its form does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandpiper.names import SESSION_FUNCTION_ROLE, stack_name, tenant_prefix
from sandpiper_contract import settings
from sandpiper_contract.aws import BATCH_WORKFLOW, COMPONENT_TAG, ENVIRONMENT_TAG, TENANT_TAG, WORKFLOW_READER
from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.evaluate import Policies, Request, evaluate
from sandpiper_policy.principals import ANONYMOUS, Principal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from sandpiper.plan.target import DeploymentTarget
    from sandpiper_policy.document import Policy

OTHER_ACCOUNT = "000000000000"
OTHER_TENANT = "-other"
"""No tenant can have this name."""
ALLOW_ALL = parse_policy(
    "an identity",
    PolicyKind.IDENTITY,
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},
)
PRINCIPAL_TAG = "aws:principaltag/"
CUSTOMER_KEY = {"s3:x-amz-server-side-encryption-customer-algorithm": "AES256"}


@dataclass(frozen=True)
class Bucket:
    """An existing data bucket of an environment."""

    name: str
    environment: str
    target: DeploymentTarget

    def role(
        self, name: str, tenant: str | None = None, environment: str | None = None
    ) -> tuple[Principal, dict[str, str]]:
        """Returns a role of the account, with the tags of a tenant's role if `tenant` is set."""
        tags = {ENVIRONMENT_TAG: environment or self.environment, TENANT_TAG: tenant} if tenant else {}
        arn = f"arn:{self.target.partition}:iam::{self.target.account}:role/{name}"
        return Principal.parse(arn), {f"aws:PrincipalTag/{key}": value for key, value in tags.items()}

    def role_of_tenant(self, tenant: str, logical_id: str) -> tuple[Principal, dict[str, str]]:
        """Returns a role in a tenant's stack."""
        return self.role(f"{stack_name(self.environment, tenant)}-{logical_id}-AbCdEf", tenant)


@dataclass(frozen=True)
class _Attempt:
    """A request that the policy has to deny.

    Attributes:
        problem: What is wrong if it is not denied.
        identity: The principal and its tags.
        key: The object, below the tenant's prefix.
        context: Further condition keys.
    """

    problem: str
    identity: tuple[Principal, dict[str, str]]
    action: str
    key: str
    context: Mapping[str, str] = field(default_factory=dict[str, str])


def bucket_policy_problems(
    document: str | Mapping[str, Any] | None, bucket: Bucket, tenants: Sequence[str]
) -> Iterator[str]:
    """Yields the problems of a bucket's policy.

    Args:
        document: The policy as JSON or decoded, or None if the bucket has none.
        bucket: The bucket.
        tenants: The tenants of the environment.

    Raises:
        PolicyError: The document is not a policy that can be evaluated.
    """
    policy = None if document is None else parse_policy("the bucket policy", PolicyKind.RESOURCE, document)
    failed: dict[str, dict[str, None]] = {}
    for tenant in tenants:
        for attempt in _attempts(bucket, tenant):
            if not all(_is_denied(policy, bucket, tenant, attempt, more) for more in _unknown_keys(policy)):
                failed.setdefault(attempt.problem, {})[tenant] = None
        for verb, action, folder in (("read", "s3:GetObject", "inputs"), ("write", "s3:PutObject", "runs")):
            own = _Attempt("", bucket.role_of_tenant(tenant, SESSION_FUNCTION_ROLE), action, f"{folder}/a")
            if all(_is_denied(policy, bucket, tenant, own, more) for more in _unknown_keys(policy)):
                failed.setdefault(f"denies its session function to {verb} {folder}/", {})[tenant] = None
    for problem, names in failed.items():
        affected = "" if len(names) == len(tenants) else f" (tenant{'s' if len(names) > 1 else ''} {', '.join(names)})"
        yield problem + affected


def _attempts(bucket: Bucket, tenant: str) -> Iterator[_Attempt]:
    target = bucket.target
    outside = Principal.parse(f"arn:{target.partition}:iam::{OTHER_ACCOUNT}:role/outside")
    root = Principal.parse(f"arn:{target.partition}:iam::{target.account}:root")
    session_function = bucket.role_of_tenant(tenant, SESSION_FUNCTION_ROLE)
    code = bucket.role_of_tenant(tenant, "InterpreterExecutionRole")
    output, record = f"{settings.RUNS}/r/a.csv", f"{settings.RUNS}/r/{settings.RECORD_NAME}"
    own_file = f"{settings.SANDBOX}/run/a.csv"
    everyone = "does not deny identities of the account, such as administrators, to"
    yield _Attempt("allows requests without credentials", (ANONYMOUS, {}), "s3:GetObject", output)
    yield _Attempt("allows identities of other accounts", (outside, {}), "s3:GetObject", output)
    yield _Attempt(f"{everyone} read objects", bucket.role("any"), "s3:GetObject", output)
    yield _Attempt(f"{everyone} read objects", (root, {}), "s3:GetObject", output)
    yield _Attempt(f"{everyone} write objects", bucket.role("any"), "s3:PutObject", f"{settings.INPUTS}/a.csv")
    yield _Attempt(f"{everyone} forge the records of runs", bucket.role("any"), "s3:PutObject", record)
    # Roles that copy the name of a tenant's role, its tags, or both except the environment's tag.
    name = f"{stack_name(bucket.environment, tenant)}-{SESSION_FUNCTION_ROLE}-copy"
    for copy in (bucket.role(name), bucket.role("any", tenant), bucket.role(name, tenant, "another")):
        for key in (output, own_file):
            yield _Attempt(f"{everyone} read objects", copy, "s3:GetObject", key)
    other = bucket.role_of_tenant(OTHER_TENANT, SESSION_FUNCTION_ROLE)
    yield _Attempt("does not deny the roles of one tenant the objects of another", other, "s3:GetObject", output)
    nested = bucket.role(
        f"{stack_name(bucket.environment, tenant)}-InterpreterExecutionRole-copy", f"{tenant}/{settings.RUNS}"
    )
    yield _Attempt("does not deny roles whose tag is a folder of a tenant", nested, "s3:PutObject", record)
    for users, component, verb, action, key in (
        ("readers of workflows", WORKFLOW_READER, "read inputs", "s3:GetObject", f"{settings.INPUTS}/a.csv"),
        ("readers of workflows", WORKFLOW_READER, "write", "s3:PutObject", output),
        ("workflows of batches", BATCH_WORKFLOW, "read files of runs", "s3:GetObject", output),
    ):
        role, tags = bucket.role_of_tenant(tenant, "Role")
        tags = {**tags, f"aws:PrincipalTag/{COMPONENT_TAG}": component}
        yield _Attempt(f"does not deny {users} to {verb}", (role, tags), action, key)
    yield _Attempt("does not deny code in sessions to forge the records of runs", code, "s3:PutObject", record)
    for text, context in (
        ("without TLS", {"aws:SecureTransport": "false"}),
        ("with TLS before version 1.2", {"s3:TlsVersion": "1.1"}),
    ):
        yield _Attempt(f"does not deny requests {text}", session_function, "s3:GetObject", output, context)
    yield _Attempt(
        "does not deny objects that are encrypted with a key of the request (SSE-C)",
        session_function,
        "s3:PutObject",
        output,
        CUSTOMER_KEY,
    )


def _is_denied(
    policy: Policy | None, bucket: Bucket, tenant: str, attempt: _Attempt, unknown: Mapping[str, str]
) -> bool:
    principal, tags = attempt.identity
    caller: dict[str, str] = {}
    if principal is ANONYMOUS:
        unknown = {key: value for key, value in unknown.items() if not key.lower().startswith("aws:principal")}
    else:
        caller = {"aws:PrincipalArn": principal.name, "aws:PrincipalAccount": principal.account, **tags}
    context = {
        **unknown,
        "aws:SecureTransport": "true",
        "s3:TlsVersion": "1.3",
        "aws:PrincipalIsAWSService": "false",
        "aws:ResourceAccount": bucket.target.account,
        **caller,
        **attempt.context,
    }
    resource = f"arn:{bucket.target.partition}:s3:::{bucket.name}/{tenant_prefix(tenant)}/{attempt.key}"
    request = Request(principal, attempt.action, resource, bucket.target.account, context)
    return not evaluate(request, Policies(identity=[ALLOW_ALL], resource=policy)).allowed


def _unknown_keys(policy: Policy | None) -> Iterator[dict[str, str]]:
    """Yields further condition keys: none, and those that the policy compares with, each with the first value.

    A statement such as a Deny unless the request comes from a VPC must not hide that requests from it are not denied.
    """
    yield {}
    if policy is not None:
        yield {
            condition.key: condition.values[0].replace("*", "x").replace("?", "x")
            for statement in policy.statements
            for condition in statement.conditions
            if condition.key.lower() not in CUSTOMER_KEY and not condition.key.lower().startswith(PRINCIPAL_TAG)
        }
