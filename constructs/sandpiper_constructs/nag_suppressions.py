"""Acknowledges cdk-nag's findings of wildcards in policies, each with its own reason.

Not a way to switch a rule off: an acknowledgement belongs beside the role that it is about, in that role's file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Acknowledgment, Stack, Validations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import IConstruct


def acknowledge_wildcards(role: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accepts resources with a `*` in the role's policies (rule IAM5): a reason for each ARN, which may hold tokens.

    The pack's name is part of the id, since a bare rule id hides the finding from the report instead of explaining it.
    """
    resolve = Stack.of(role).resolve
    Validations.of(role).acknowledge(
        *(
            Acknowledgment(id=f"AwsSolutions::AwsSolutions-IAM5[Resource::{_flat(resolve(arn))}]", reason=reason)
            for arn, reason in reasons.items()
        )
    )


def _flat(value: object) -> str:
    """An ARN as cdk-nag writes it: references in angle brackets."""
    if not isinstance(value, dict):
        return str(value)
    ((function, argument),) = cast("dict[str, object]", value).items()
    if function == "Ref":
        return f"<{argument}>"
    if function == "Fn::GetAtt":
        return f"<{'.'.join(cast('list[str]', argument))}>"
    delimiter, parts = cast("tuple[str, list[object]]", argument)
    return delimiter.join(map(_flat, parts))
