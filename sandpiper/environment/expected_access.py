"""Contains the access that an environment file requires or excludes, which `sandpiper review` compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from sandpiper.environment.errors import ConfigIssue, format_value
from sandpiper.environment.options import Options, option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.model import Environment

AccessOperation = Literal[
    "start a workflow",
    "invoke the session function",
    "start a session",
    "run code in a session",
    "write inputs",
    "read results",
    "change results",
    "change records",
    "read logs",
    "decrypt with the key itself",
    "change the code of the function",
    "change a workflow",
    "change a role of code",
    "change the policy of the bucket",
]
"""The operations of the access matrix, in the order of its columns."""
ExpectedOutcome = Literal["allowed", "denied"]
ALLOWED_OPERATIONS = " | ".join(get_args(AccessOperation))


class ExpectedAccess(Options):
    """Whether a principal may perform an operation. `sandpiper review` reports a difference as a finding."""

    principal: str = option(
        "the principal, as the access matrix names it, or the construct path of a role",
        "a principal of the access matrix, such as administrator of the account or sandpiper-prod-claims/RunCode/Role",
        min_length=1,
        max_length=600,
        pattern=r"^\S(.*\S)?$",
        examples=["reader of the account"],
    )
    operation: AccessOperation = option("the operation", ALLOWED_OPERATIONS, examples=["read results"])
    access: ExpectedOutcome = option(
        "the required outcome; an operation through a program counts as allowed",
        "allowed | denied",
        examples=["denied"],
    )
    tenant: str | None = option("the tenant; without it, every tenant", "the name of a tenant of this file", None)


def _check_tenants(environment: Environment) -> Iterator[ConfigIssue]:
    known = environment.all_tenants
    for index, expected in enumerate(environment.expect):
        if expected.tenant is not None and expected.tenant not in known:
            yield ConfigIssue(
                key_path=("expect", index, "tenant"),
                problem=f"is {format_value(expected.tenant)}",
                allowed=", ".join(known),
                remedy="correct the name, or remove it for every tenant",
                depends_on=(("tenants",), ("interpreters",)),
            )


EXPECTED_ACCESS_CHECKS = (_check_tenants,)
