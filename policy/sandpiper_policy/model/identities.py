"""Identities of the model: roles, users and groups of the templates, and principals that the templates only name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sandpiper_policy.principals import Principal

if TYPE_CHECKING:
    from sandpiper_policy.model.attached import AttachedPolicy
    from sandpiper_policy.model.location import Location


class IdentityKind(Enum):
    """The kinds of identities."""

    ROLE = "role"
    USER = "user"
    GROUP = "group"
    EXTERNAL = "identity outside of the templates"
    ACCOUNT = "account"
    SERVICE = "service"
    PROVIDER = "identity provider"
    EVERYONE = "everyone"


@dataclass(frozen=True)
class Identity:
    """An identity with its policies.

    Attributes:
        address: `STACK/LOGICAL_ID`, or the ARN or name of an identity that the templates only name.
        kind: The kind.
        arn: The ARN, with an invented name where CloudFormation generates one; the name of a service or provider.
        account: The account ID; empty for services, providers and everyone.
        policies: Identity-based policies that the templates contain.
        boundary: The permissions boundary, if the templates contain it.
        boundary_arn: The ARN of the permissions boundary; empty without one.
        trust: The trust policy of a role.
        managed_arns: ARNs of attached policies that the templates do not contain.
        location: Its position, or that of a statement that names it.
    """

    address: str
    kind: IdentityKind
    arn: str
    account: str
    location: Location
    policies: tuple[AttachedPolicy, ...] = ()
    boundary: AttachedPolicy | None = None
    boundary_arn: str = ""
    trust: AttachedPolicy | None = None
    managed_arns: tuple[str, ...] = ()

    @property
    def principal(self) -> Principal:
        """The principal for requests to the evaluator."""
        return Principal.parse(self.arn)

    @property
    def is_complete(self) -> bool:
        """Whether the templates contain every policy of the identity."""
        return self.kind in (IdentityKind.ROLE, IdentityKind.USER, IdentityKind.GROUP) and not self.managed_arns
