"""The principals of the matrix: those of the templates, and kinds of identities that every account has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sandpiper.review.access.matrix import Row, named_in_account
from sandpiper.review.proofs.subjects import OTHER_ACCOUNT, administrator, any_role_of, session_of, tags_of
from sandpiper_contract.aws import partition_of
from sandpiper_policy.context import Context
from sandpiper_policy.document import Policy, PolicyKind, parse_policy
from sandpiper_policy.model.identities import IdentityKind
from sandpiper_policy.principals import Principal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.model.identities import Identity

POWER_USER: list[dict[str, Any]] = [
    {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"}
]
"""The managed policy PowerUserAccess without its few actions on IAM.

https://docs.aws.amazon.com/aws-managed-policy/latest/reference/PowerUserAccess.html
"""
READ_ONLY: list[dict[str, Any]] = [
    {
        "Effect": "Allow",
        "Action": [
            *("bedrock-agentcore:Get*", "bedrock-agentcore:List*", "cloudwatch:Get*", "cloudwatch:Describe*"),
            *("iam:Get*", "iam:List*", "kms:Describe*", "kms:Get*", "kms:List*", "lambda:Get*", "lambda:List*"),
            *("logs:Describe*", "logs:Get*", "logs:FilterLogEvents", "logs:StartQuery", "s3:Get*", "s3:List*"),
            *("states:Describe*", "states:List*", "states:GetExecutionHistory"),
        ],
        "Resource": "*",
    }
]
"""The actions of the managed policy ReadOnlyAccess on the services of the templates.

https://docs.aws.amazon.com/aws-managed-policy/latest/reference/ReadOnlyAccess.html
"""


@dataclass(frozen=True, eq=False)
class Requester:
    """A principal with what its requests have in common.

    Attributes:
        row: Its row.
        principal: The principal of its requests.
        context: The condition keys of its requests: ARN, account and tags.
        identity: The identity of the model, if the templates contain it.
        assumed: The policies that it is assumed to have; empty for an identity whose policies the templates contain.
    """

    row: Row
    principal: Principal
    context: Mapping[str, str]
    identity: Identity | None = None
    assumed: tuple[Policy, ...] = ()

    @cached_property
    def keys(self) -> Context:
        """The condition keys of its requests."""
        return Context.from_keys(self.context)


def requesters(model: ReviewModel) -> Iterator[Requester]:
    """Yields the roles and users of the templates, named identities, and kinds of identities of every account."""
    for identity in model.policies.identities.values():
        if identity.kind in (IdentityKind.ROLE, IdentityKind.USER):
            yield _of_templates(model, identity)
        elif identity.kind is IdentityKind.EXTERNAL and identity.account:
            yield _named(model, identity)
    yield from _kinds(model)


def _of_templates(model: ReviewModel, identity: Identity) -> Requester:
    """Returns an identity of the templates. A policy that they do not contain is assumed to allow everything."""
    origin = "account" if identity.address.startswith("arn:") else "templates"
    kind, unknown = f"{identity.kind.value} of the {origin}", bool(identity.managed_arns)
    construct = identity.location.construct.removesuffix("/Resource")
    row = Row(identity.address, model.readable(identity.address), kind, unknown, construct)
    assumed = (administrator(),) if unknown else ()
    return Requester(row, session_of(identity), _context(model, identity), identity, assumed)


def _named(model: ReviewModel, identity: Identity) -> Requester:
    """Returns an identity that the templates only name: its own policies are assumed to allow everything."""
    row = Row(identity.address, identity.arn, "identity that the templates name", True)
    return Requester(row, session_of(identity), _context(model, identity), identity, (administrator(),))


def _context(model: ReviewModel, identity: Identity) -> dict[str, str]:
    resource = model.by_address.get(identity.address)
    tags = dict[str, str]() if resource is None else tags_of(resource)
    return {
        "aws:PrincipalArn": identity.arn,
        "aws:PrincipalAccount": identity.account,
        **{f"aws:PrincipalTag/{name}": value for name, value in tags.items()},
    }


def _kinds(model: ReviewModel) -> Iterator[Requester]:
    """Yields an administrator, a power user and a reader of each account, its deployer, and another account."""
    regions = dict[str, str]()
    for one in model.templates:
        regions.setdefault(one.account, one.region)
    for account, region in regions.items():
        yield from _kinds_of(account, region, is_only=len(regions) == 1)
    for region in list(regions.values())[:1]:
        yield _other_account(region)


def _kinds_of(account: str, region: str, *, is_only: bool) -> Iterator[Requester]:
    roles = f"arn:{partition_of(region)}:iam::{account}:role/"
    deployer = f"cdk-hnb659fds-cfn-exec-role-{account}-{region}"
    kinds = {
        "Administrator": ("administrator of the account", (administrator(),)),
        "PowerUser": ("power user of the account", (_policy("PowerUserAccess", POWER_USER),)),
        "ReadOnly": ("reader of the account", (_policy("ReadOnlyAccess", READ_ONLY),)),
        deployer: ("deployment role of the CDK", (administrator(),)),
    }
    for name, (label, policies) in kinds.items():
        context = {"aws:PrincipalArn": roles + name, "aws:PrincipalAccount": account}
        principal = Principal.parse(f"arn:{partition_of(region)}:sts::{account}:assumed-role/{name}/session")
        shown = label if is_only else named_in_account(label, account)
        yield Requester(Row(shown, shown, "kind of identity", True), principal, context, None, policies)


def _other_account(region: str) -> Requester:
    other = any_role_of(OTHER_ACCOUNT, region)
    context = {
        "aws:PrincipalArn": f"arn:{partition_of(region)}:iam::{OTHER_ACCOUNT}:role/any",
        "aws:PrincipalAccount": OTHER_ACCOUNT,
    }
    label = "administrator of another account"
    return Requester(Row(label, label, "kind of identity", True), other, context, None, (administrator(),))


def _policy(name: str, statements: list[dict[str, Any]]) -> Policy:
    return parse_policy(name, PolicyKind.IDENTITY, {"Version": "2012-10-17", "Statement": statements})
