"""The type of a finding, of any rule pack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One rule that one resource does not meet.

    Attributes:
        pack: the rule pack of cdk-nag, or `checkov`.
        rule: the id of the rule. In cdk-nag, it can end in a part of a policy in brackets.
        at: the construct path of the resource, or for checkov its stack and logical id.
        type: the CloudFormation type of the resource.
        reason: why it is accepted, or None.
        accepted_at: where it is accepted, in the form of `at`, or None.
    """

    pack: str
    rule: str
    at: str
    type: str
    reason: str | None
    accepted_at: str | None
