"""Accepts findings of cdk-nag and checkov at their resource, each with its reason. No rule is disabled.

An acceptance belongs in the file that creates the resource. It is used by the rule packs that an app adds and has no
effect without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aws_cdk import CfnResource, Stack, Validations

from sandpiper_constructs.template_text import template_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms
    from constructs import IConstruct

NIST, HIPAA, PCI, SERVERLESS = "NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321", "Serverless"
"""Names of rule packs of cdk-nag. https://github.com/cdklabs/cdk-nag/blob/main/RULES.md"""
_OWN_POLICY = "An inline policy belongs to one role and is deleted with it. A managed policy can be attached elsewhere."
_ACKNOWLEDGED = Validations.ACKNOWLEDGED_RULES_METADATA_KEY


@dataclass(frozen=True)
class Rule:
    """A rule of cdk-nag, and the check of checkov for the same property.

    Attributes:
        name: the name of the rule in cdk-nag. Default: cdk-nag has no such rule.
        packs: the rule packs that contain it.
        checkov: the id of the check. Default: checkov has no such check.
    """

    name: str = ""
    packs: tuple[str, ...] = ()
    checkov: str | None = None


ALARM_ACTION = Rule("CloudWatchAlarmAction", (NIST, HIPAA))
ASYNCHRONOUS_DESTINATION = Rule("LambdaAsyncFailureDestination", (SERVERLESS,))
BUCKET_ACCESS_LOG = Rule(checkov="CKV_AWS_18")
BUCKET_KEY = Rule("S3DefaultEncryptionKMS", (NIST, HIPAA, PCI))
BUCKET_REPLICATION = Rule("S3BucketReplicationEnabled", (NIST, HIPAA, PCI))
DEFAULT_SECURITY_GROUP = Rule("VPCDefaultSecurityGroupClosed", (NIST, HIPAA, PCI))
EVENT_QUEUE = Rule("EventBusDLQ", (SERVERLESS,))
FUNCTION_CONCURRENCY = Rule("LambdaConcurrency", (NIST, HIPAA), "CKV_AWS_115")
FUNCTION_KEY = Rule(checkov="CKV_AWS_173")
FUNCTION_QUEUE = Rule("LambdaDLQ", (NIST, HIPAA, SERVERLESS), "CKV_AWS_116")
FUNCTION_TRACES = Rule("LambdaTracing", (SERVERLESS,))
FUNCTION_VPC = Rule("LambdaInsideVPC", (NIST, HIPAA, PCI), "CKV_AWS_117")
INLINE_POLICY = Rule("IAMNoInlinePolicy", (NIST, HIPAA, PCI))
LOG_KEY = Rule("CloudWatchLogGroupEncrypted", (NIST, HIPAA, PCI), "CKV_AWS_158")
SUBSCRIPTION_QUEUE = Rule("SNSRedrivePolicy", (SERVERLESS,))
TRAIL_KEY = Rule("CloudTrailEncryptionEnabled", (NIST, HIPAA, PCI), "CKV_AWS_35")
TRAIL_LOG_GROUP = Rule("CloudTrailCloudWatchLogsEnabled", (NIST, HIPAA, PCI))
TRAIL_REGIONS = Rule(checkov="CKV_AWS_67")


class Acceptances:
    """Accepted findings of the resources that one construct creates. One call of the CDK adds all of them.

    They apply to the construct and everything below it. Create one for a construct whose resources of a type have the
    same reasons, and never for a stack.

    Example:
        ```python
        accepted = Acceptances()
        accepted.rules(function, {FUNCTION_VPC: "It runs no user code."})
        accepted.policies(role)
        accepted.add_to(self)
        ```
    """

    def __init__(self) -> None:
        """Begins without acceptances."""
        self._reasons: dict[str, str] = {}

    def rules(self, resource: IConstruct, reasons: Mapping[Rule, str]) -> None:
        """Accepts findings at a resource.

        cdk-nag lists them with their reason. checkov reads the metadata of the resource in the template.
        https://www.checkov.io/2.Basics/Suppressing%20and%20Skipping%20Policies.html

        Args:
            resource: the construct of the resource.
            reasons: the reason for each rule.
        """
        self._reasons |= {f"{pack}::{pack}-{rule.name}": why for rule, why in reasons.items() for pack in rule.packs}
        skipped = [{"id": rule.checkov, "comment": why} for rule, why in reasons.items() if rule.checkov]
        if skipped:
            # A construct of a single resource has no child.
            template = resource if isinstance(resource, CfnResource) else resource.node.default_child or resource
            cast("CfnResource", template).add_metadata("checkov", {"skip": skipped})

    def log(self, log_group: IConstruct, key: kms.IKey | None, content: str) -> None:
        """Accepts that a log group has no customer managed key.

        Args:
            log_group: the log group.
            key: its key. With a key, nothing is accepted.
            content: a sentence about what the log contains.
        """
        if key is None:
            reason = f"{content} Without a key, CloudWatch Logs encrypts it with a key of AWS."
            self.rules(log_group, {LOG_KEY: reason})

    def policies(self, role: IConstruct, wildcards: Mapping[str, str] | None = None) -> None:
        """Accepts that a role has inline policies, and resources with a `*` in them.

        Args:
            role: the role, which also covers the policies below it in the construct tree, or a policy.
            wildcards: the reason for each ARN with a `*`, which may contain tokens. Default: no such ARN.
        """
        self._reasons |= {f"{pack}::{pack}-{INLINE_POLICY.name}": _OWN_POLICY for pack in INLINE_POLICY.packs}
        self.wildcards(role, wildcards or {})

    def wildcards(self, role: IConstruct, reasons: Mapping[str, str]) -> None:
        """Accepts resources with a `*` in them in policies of a role, with the reason for each ARN."""
        arns: list[str] = list(reasons)
        if any("${" in arn for arn in arns):  # only then can an ARN contain a token
            arns = list(map(template_text, Stack.of(role).resolve(arns)))
        self._reasons |= {
            f"AwsSolutions::AwsSolutions-IAM5[Resource::{arn}]": reason
            for arn, reason in zip(arns, reasons.values(), strict=True)
        }

    def add_to(self, construct: IConstruct) -> None:
        """Acknowledges the findings by id, as `Validations.acknowledge` does, which takes four times as long.

        The id includes the name of the rule pack. Without it, cdk-nag removes the finding from the report instead of
        listing it with its reason. Call it once for each construct.
        """
        if self._reasons:
            reasons = {id_.replace(" ", "-"): reason for id_, reason in self._reasons.items()}
            construct.node.add_metadata(_ACKNOWLEDGED, reasons)


def accept(resource: IConstruct, reasons: Mapping[Rule, str]) -> None:
    """Accepts findings at a resource and below it in the construct tree. Call it once for each resource."""
    accepted = Acceptances()
    accepted.rules(resource, reasons)
    accepted.add_to(resource)


def accept_log(log_group: IConstruct, key: kms.IKey | None, content: str) -> None:
    """Accepts that a log group has no customer managed key, with a sentence about what it contains."""
    accepted = Acceptances()
    accepted.log(log_group, key, content)
    accepted.add_to(log_group)


def accept_policies(role: IConstruct, wildcards: Mapping[str, str] | None = None) -> None:
    """Accepts that a role has inline policies, and resources with a `*` in them, each with its reason."""
    accepted = Acceptances()
    accepted.policies(role, wildcards)
    accepted.add_to(role)
