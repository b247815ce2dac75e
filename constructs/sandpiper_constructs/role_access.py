"""Grants permissions to existing IAM roles of this account and of other accounts, which an environment file names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aws_cdk import Names, Token
from aws_cdk import aws_iam as iam

from sandpiper_constructs.nag_suppressions import accept_policies
from sandpiper_contract.aws import AWS_MANAGED_ROLE, ROLE_ARN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from constructs import Construct

_ROLE = re.compile(ROLE_ARN)
MAX_POLICY_NAME_CHARACTERS = 128
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html"""


@dataclass(frozen=True)
class RolesByAccount:
    """Existing roles by whether a policy can be attached to them.

    Attributes:
        own: sorted names of roles of the stack's account.
        others: sorted ARNs of roles of other accounts.
    """

    own: Sequence[str]
    others: Sequence[str]

    @classmethod
    def from_arns(cls, role_arns: Sequence[str], account: str) -> RolesByAccount:
        """Returns the roles of a list.

        Args:
            role_arns: ARNs of existing roles, each once.
            account: the stack's account.

        Raises:
            ValueError: for an invalid or repeated ARN, and for an unknown account.
        """
        if Token.is_unresolved(account):
            raise ValueError("role_arns is set in a stack without an account; allowed: a stack with env=Environment(…)")
        if len(set(role_arns)) < len(role_arns):
            raise ValueError(f"role_arns contains a role twice: {list(role_arns)!r}; allowed: each role once")
        own, others = list[str](), list[str]()
        for arn in role_arns:
            match = _ROLE.fullmatch(arn)
            if match is None:
                raise ValueError(
                    f"role_arns contains {arn!r}; allowed: arn:aws:iam::ACCOUNT:role/NAME, with or without a path, and "
                    "without wildcards"
                )
            if match[1] == account:
                if re.search(AWS_MANAGED_ROLE, arn):
                    raise ValueError(
                        f"role_arns contains {arn!r}, which is managed by AWS; allowed: roles of this account to which "
                        "a policy can be attached"
                    )
                own.append(match[2])
            else:
                others.append(arn)
        return cls(sorted(own), sorted(others))


def grant_to_roles(
    scope: Construct,
    roles: RolesByAccount,
    *,
    description: str,
    grant: Callable[[iam.IGrantable], None],
    wildcards: Mapping[str, str] | None = None,
) -> iam.IRole | None:
    """Grants permissions to roles: a policy for roles of this account, a role to assume for roles of other accounts.

    Args:
        scope: a construct for these roles only.
        roles: the roles.
        description: description of the role to assume.
        grant: grants the permissions to a policy or a role.
        wildcards: the reason for each ARN with a `*` in the permissions. Default: no such ARN.

    Returns:
        The role that roles of other accounts assume, or None without such roles.
    """
    if roles.own:
        # The default name of a policy on an imported role does not include the stack's name, so that two stacks could
        # overwrite each other's policy.
        policy = iam.Policy(
            scope,
            "Policy",
            policy_name=Names.unique_resource_name(scope, max_length=MAX_POLICY_NAME_CHARACTERS),
            roles=[iam.Role.from_role_name(scope, name, name) for name in roles.own],
        )
        grant(cast("iam.IGrantable", policy))
        accept_policies(policy, wildcards)
    if not roles.others:
        return None
    role = assumable_role(scope, roles.others, description)
    grant(cast("iam.IGrantable", role))
    accept_policies(role, wildcards)
    return cast("iam.IRole", role)


def assumable_role(scope: Construct, role_arns: Sequence[str], description: str) -> iam.Role:
    """Creates a role that exactly these roles can assume. IAM rejects it while one of them does not exist."""
    principals = [cast("iam.IPrincipal", iam.ArnPrincipal(arn)) for arn in role_arns]
    trusted = cast("iam.IPrincipal", iam.CompositePrincipal(*principals))
    return iam.Role(scope, "Role", assumed_by=trusted, description=description)
