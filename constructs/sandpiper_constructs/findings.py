"""Acknowledges cdk-nag findings where they are, each with its own reason.

Not a way to switch rules off: an acknowledgement belongs beside the resource that it is about, in that resource's file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Acknowledgment, Validations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import IConstruct

PACK = "AwsSolutions"


def acknowledge(scope: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accepts findings of `scope`: a reason for each rule, such as `S1` or `IAM5[Resource::*]`.

    The pack's name is part of the id, since a bare rule id hides the finding from the report instead of explaining it.
    """
    Validations.of(scope).acknowledge(
        *(Acknowledgment(id=f"{PACK}::{PACK}-{rule}", reason=reason) for rule, reason in reasons.items())
    )
