"""Acknowledges cdk-nag findings about wildcards in policies, each with its reason.

An acknowledgement belongs in the file that creates the role. No rule is disabled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Acknowledgment, Stack, Validations

from sandpiper_constructs.template_text import template_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import IConstruct


def acknowledge_wildcards(role: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accepts resources with a `*` in the role's policies (rule IAM5).

    The id of an acknowledgement includes the name of the rule pack. Without it, cdk-nag removes the finding from the
    report instead of listing it with its reason.

    Args:
        role: the role, which also covers the policies below it in the construct tree.
        reasons: the reason for each ARN. An ARN may contain tokens.
    """
    resolve = Stack.of(role).resolve
    Validations.of(role).acknowledge(
        *(
            Acknowledgment(
                id=f"AwsSolutions::AwsSolutions-IAM5[Resource::{template_text(resolve(arn))}]", reason=reason
            )
            for arn, reason in reasons.items()
        )
    )
