"""Principals of requests, and how the `Principal` element of a statement matches them.

Source: "AWS JSON policy elements: Principal" in the IAM User Guide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, IntEnum

from sandpiper_policy.errors import PolicyError
from sandpiper_policy.syntax import PRINCIPAL_TYPES

ACCOUNT_ID = re.compile(r"\d{12}")
ARN = re.compile(r"arn:[\w-]+:(?P<service>iam|sts)::(?P<account>\d{12}):(?P<kind>[\w-]+)(/(?P<path>.+))?")


class PrincipalKind(Enum):
    """The kinds of principals."""

    ROOT = "root"
    USER = "user"
    ROLE = "role"
    SESSION = "assumed-role"
    FEDERATED_USER = "federated-user"
    SERVICE = "service"
    PROVIDER = "provider"
    ANONYMOUS = "anonymous"


class PrincipalMatch(IntEnum):
    """How specifically a statement names a principal. More specific matches are greater."""

    NONE = 0
    ACCOUNT = 1
    """By its account. The account's own policies then decide."""
    ROLE = 2
    """A session by its role, or a federated user by its user. Limits of the session apply to the grant."""
    EXACT = 3
    """By its own ARN or name, or by `*`."""


@dataclass(frozen=True)
class Principal:
    """The principal that makes a request.

    Attributes:
        kind: The kind of principal.
        name: Its ARN; for a service its name (`lambda.amazonaws.com`); for a provider its ARN or domain.
        account: Its account ID; empty for services, providers and anonymous callers.
    """

    kind: PrincipalKind
    name: str
    account: str = ""

    @classmethod
    def parse(cls, name: str) -> Principal:
        """Returns the principal with an IAM or STS ARN, or with the name of a service or provider.

        Raises:
            ValueError: The ARN is of a resource that cannot be a principal.
        """
        arn = ARN.fullmatch(name)
        if arn is None:
            service = name.endswith((".amazonaws.com", ".amazonaws.com.cn")) and "/" not in name and ":" not in name
            return cls(PrincipalKind.SERVICE if service else PrincipalKind.PROVIDER, name)
        kinds = {"saml-provider": "provider", "oidc-provider": "provider"}
        return cls(PrincipalKind(kinds.get(arn["kind"], arn["kind"])), name, arn["account"])


ANONYMOUS = Principal(PrincipalKind.ANONYMOUS, "")


@dataclass(frozen=True)
class Principals:
    """The principals of an element `Principal` or `NotPrincipal`: pairs of type and name. `("*", "*")` is everyone."""

    names: tuple[tuple[str, str], ...]

    def match(self, principal: Principal) -> PrincipalMatch:
        """Returns the most specific match of the principal."""
        return max((_match(kind, name, principal) for kind, name in self.names), default=PrincipalMatch.NONE)


def parse_principals(names: tuple[tuple[str, str], ...]) -> Principals:
    """Checks the types and names of an element `Principal` or `NotPrincipal`.

    Raises:
        PolicyError: A type does not exist, or a name contains a wildcard.
    """
    return Principals(tuple(_check(kind, name) for kind, name in names))


def _check(kind: str, name: str) -> tuple[str, str]:
    if (kind, name) in (("*", "*"), ("AWS", "*")):
        return "*", "*"
    if kind not in PRINCIPAL_TYPES:
        raise PolicyError(f"{kind!r} is not a principal type; allowed: {' | '.join(PRINCIPAL_TYPES)}")
    if "*" in name or "?" in name:
        raise PolicyError(f"the principal {name!r} has a wildcard; allowed: a full name, or * alone")
    return kind, name


def _match(kind: str, name: str, principal: Principal) -> PrincipalMatch:
    if kind == "*":
        return PrincipalMatch.EXACT
    if kind == "Service":
        is_named = principal.kind is PrincipalKind.SERVICE and principal.name == name
        return PrincipalMatch.EXACT if is_named else PrincipalMatch.NONE
    if kind == "Federated":
        is_named = principal.kind is PrincipalKind.PROVIDER and principal.name == name
        return PrincipalMatch.EXACT if is_named else PrincipalMatch.NONE
    if kind == "CanonicalUser":  # another identifier of an account, used only by S3
        return PrincipalMatch.NONE
    if name == principal.name and principal.kind is not PrincipalKind.ROOT:
        return PrincipalMatch.EXACT
    arn = ARN.fullmatch(name)
    account = name if ACCOUNT_ID.fullmatch(name) else arn["account"] if arn and arn["kind"] == "root" else None
    if account is not None:
        return PrincipalMatch.ACCOUNT if account == principal.account else PrincipalMatch.NONE
    if arn is None or arn["account"] != principal.account:
        return PrincipalMatch.NONE
    named = (arn["kind"], (arn["path"] or "").rpartition("/")[2])
    return PrincipalMatch.ROLE if _session_owner(principal) == named else PrincipalMatch.NONE


def _session_owner(principal: Principal) -> tuple[str, str] | None:
    """Returns the kind and name of the role or user of a session. The ARN of a session omits the path of its role."""
    parts = principal.name.rpartition(":")[2].split("/")
    if principal.kind is PrincipalKind.SESSION:
        return "role", parts[1]
    return ("user", parts[1]) if principal.kind is PrincipalKind.FEDERATED_USER else None
