"""The form of the access matrix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Access(Enum):
    """Whether a principal may perform an operation."""

    ALLOWED = "allowed"
    THROUGH = "through a program"
    """Not itself, but a program that it can start does so."""
    DENIED = "denied"
    UNDECIDED = "undecided"
    """The templates do not decide: they have no such resource, or a value is known only after a deployment."""

    @property
    def is_access(self) -> bool:
        """Whether the principal can perform the operation, itself or through a program."""
        return self in (Access.ALLOWED, Access.THROUGH)


def named_in_account(name: str, account: str) -> str:
    """Returns the name of a kind of identity in one of several accounts."""
    return f"{name} ({account})"


@dataclass(frozen=True)
class Row:
    """A principal of the matrix.

    Attributes:
        address: The address of the identity, or the name of a kind of identity that the templates do not contain.
        label: Its name in reports.
        kind: What it is, such as `role of the templates`.
        assumed: Whether its own policies are assumed, because the templates do not contain them.
        construct: The construct path of a role or a user of the templates; empty for others.
    """

    address: str
    label: str
    kind: str
    assumed: bool
    construct: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which an environment file can refer to it."""
        return (self.label, self.construct) if self.construct else (self.label,)


@dataclass(frozen=True)
class Cell:
    """The decision about one operation.

    Attributes:
        access: The decision.
        reason: The statement that decides, such as `denied by statement TlsOnly of the bucket policy`.
        action: The action of the request that was decided.
        resource: Its resource.
        path: The names of the programs through which the principal performs the operation.
        assumed: Whether only a policy that an identity is assumed to have allows it.
    """

    access: Access
    reason: str
    action: str
    resource: str
    path: tuple[str, ...] = ()
    assumed: bool = False


@dataclass(frozen=True)
class TenantMatrix:
    """The matrix of one tenant: a row for each principal and a cell for each operation.

    Attributes:
        tenant: The name of the tenant, or of the template without tenants.
        operations: The titles of the operations, in order.
        rows: The principals with their cells, in the order of the operations.
    """

    tenant: str
    operations: tuple[str, ...]
    rows: tuple[tuple[Row, tuple[Cell, ...]], ...]
