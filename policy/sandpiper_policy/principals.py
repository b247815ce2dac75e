"""Who asks, and whom a statement names.

"AWS JSON policy elements: Principal" of the IAM User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, cast

from sandpiper_policy.errors import PolicyError

ACCOUNT_ID = re.compile(r"\d{12}")
ARN = re.compile(r"arn:[\w-]+:(?P<service>iam|sts)::(?P<account>\d{12}):(?P<kind>[\w-]+)(/(?P<path>.+))?")


class Kind(Enum):
    """What a principal is."""

    ROOT = "root"
    USER = "user"
    ROLE = "role"
    SESSION = "assumed-role"
    FEDERATED_USER = "federated-user"
    SERVICE = "service"
    PROVIDER = "provider"
    ANONYMOUS = "anonymous"


class Named(IntEnum):
    """How closely a statement names who asks; a closer one is greater."""

    NOT = 0
    BY_ACCOUNT = 1
    """By its account, which leaves the decision to the account's own policies."""
    BY_ROLE = 2
    """A session by its role, a federated user by its user: what limits the session limits this."""
    ITSELF = 3
    """By its own ARN or name, or by `*`."""


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        kind: what it is.
        name: its ARN; a service's name (`lambda.amazonaws.com`); a provider's ARN or domain.
        account: its account; empty for a service, a provider and nobody in particular.
    """

    kind: Kind
    name: str
    account: str = ""

    @classmethod
    def of(cls, name: str) -> Principal:
        """The principal with an ARN of IAM or STS, or the service or provider of a name.

        Raises:
            ValueError: an ARN of something that never asks.
        """
        found = ARN.fullmatch(name)
        if found is None:
            service = name.endswith((".amazonaws.com", ".amazonaws.com.cn")) and "/" not in name and ":" not in name
            return cls(Kind.SERVICE if service else Kind.PROVIDER, name)
        kinds = {"saml-provider": "provider", "oidc-provider": "provider"}
        return cls(Kind(kinds.get(found["kind"], found["kind"])), name, found["account"])


ANONYMOUS = Principal(Kind.ANONYMOUS, "")


@dataclass(frozen=True)
class Principals:
    """The element `Principal`: kinds of names, and names. `("*", "*")` is everybody."""

    names: tuple[tuple[str, str], ...]

    def naming(self, asking: Principal) -> Named:
        """How closely the element names who asks."""
        return max((_naming(kind, name, asking) for kind, name in self.names), default=Named.NOT)


def principals(element: object) -> Principals:
    """Reads `Principal` or `NotPrincipal`.

    Raises:
        PolicyError: it names nobody as IAM does.
    """
    if element == "*":
        return Principals((("*", "*"),))
    if not isinstance(element, Mapping) or not element:
        raise PolicyError(f"the principal {element!r} is neither * nor an object")
    names: list[tuple[str, str]] = []
    for kind, given in cast("Mapping[str, Any]", element).items():
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser"):
            raise PolicyError(f"{kind!r} is no kind of principal")
        listed = cast("list[Any]", given) if isinstance(given, list) else [given]
        names += [_checked(kind, name) for name in listed]
    return Principals(tuple(names))


def _checked(kind: str, name: object) -> tuple[str, str]:
    if not isinstance(name, str) or not name:
        raise PolicyError(f"the principal {name!r} is no text")
    if kind == "AWS" and name == "*":
        return "*", "*"
    if "*" in name or "?" in name:
        raise PolicyError(f"the principal {name!r} has a wildcard, which only a whole * may be")
    return kind, name


def _naming(kind: str, name: str, asking: Principal) -> Named:
    if kind == "*":
        return Named.ITSELF
    if kind == "Service":
        return Named.ITSELF if asking.kind is Kind.SERVICE and asking.name == name else Named.NOT
    if kind == "Federated":
        return Named.ITSELF if asking.kind is Kind.PROVIDER and asking.name == name else Named.NOT
    if kind == "CanonicalUser":  # an account's other name, which only S3 knows
        return Named.NOT
    if name == asking.name and asking.kind is not Kind.ROOT:
        return Named.ITSELF
    found = ARN.fullmatch(name)
    account = name if ACCOUNT_ID.fullmatch(name) else found["account"] if found and found["kind"] == "root" else None
    if account is not None:
        return Named.BY_ACCOUNT if account == asking.account else Named.NOT
    if found is None or found["account"] != asking.account:
        return Named.NOT
    return Named.BY_ROLE if _behind(asking) == (found["kind"], (found["path"] or "").rpartition("/")[2]) else Named.NOT


def _behind(asking: Principal) -> tuple[str, str] | None:
    """The kind and name of what stands behind a session. A session's ARN has no path of its role."""
    parts = asking.name.rpartition(":")[2].split("/")
    if asking.kind is Kind.SESSION:
        return "role", parts[1]
    return ("user", parts[1]) if asking.kind is Kind.FEDERATED_USER else None
