"""The requirements of controls that templates decide about, as a table.

Each has the name of the rule in cdk-nag. The packs of cdk-nag assign controls of NIST 800-53, HIPAA and PCI DSS to it
(`pack_controls.json`); the table assigns the recommendations of CIS, for which cdk-nag has no pack.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import BUCKET, FUNCTION, KEY
from sandpiper.review.controls.met import MET
from sandpiper.review.reading.values import as_list, as_mapping, as_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource

    Fails = Callable[[ReviewModel, Resource], bool]

ALARM, LOG_GROUP = "AWS::CloudWatch::Alarm", "AWS::Logs::LogGroup"
TRAIL, VPC = "AWS::CloudTrail::Trail", "AWS::EC2::VPC"
GROUP, POLICY, ROLE, USER = "AWS::EC2::SecurityGroup", "AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::User"
EVERY_ADDRESS = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True)
class Requirement:
    """A requirement.

    Attributes:
        name: The name of the rule in cdk-nag.
        types: The types of the resources that it is about.
        fails: Returns whether a resource does not meet it.
        rules: Rules of the review about the same, whose findings decide in addition.
        cis: The recommendations of the CIS AWS Foundations Benchmark.
        text: How it is met, if cdk-nag has no rule about it.
    """

    name: str
    types: tuple[str, ...]
    fails: Fails
    rules: tuple[str, ...] = ()
    cis: tuple[str, ...] = ()
    text: str = ""

    @property
    def met(self) -> str:
        """How it is met."""
        return self.text or MET.get(self.name, f"Every {' and '.join(self.types)} passes.")


def _lacks(*path: str, value: str = "") -> Fails:
    """Returns a check that a property is missing, or is not the value."""

    def fails(_model: ReviewModel, one: Resource) -> bool:
        found = one.get(*path)
        return as_text(found) != value if value else not found

    return fails


def _never(_model: ReviewModel, _one: Resource) -> bool:
    return False


def _has_default_group(_model: ReviewModel, _one: Resource) -> bool:
    return True  # every VPC has one, and CloudFormation cannot change it


def _notifies_nothing(_model: ReviewModel, one: Resource) -> bool:
    return not any(map(one.items, ("AlarmActions", "OKActions", "InsufficientDataActions")))


def _is_open(_model: ReviewModel, one: Resource) -> bool:
    rules = map(as_mapping, one.items("SecurityGroupIngress"))
    return any(as_text(rule.get(name)) in EVERY_ADDRESS for rule in rules for name in ("CidrIp", "CidrIpv6"))


def _is_inline(_model: ReviewModel, one: Resource) -> bool:
    return one.type == POLICY or bool(one.items("Policies"))


def _has_wildcard(model: ReviewModel, one: Resource) -> bool:
    identity = model.policies.identities.get(one.address)
    policies = () if identity is None else identity.policies
    actions = [statement.syntax.action for policy in policies for statement in policy.statements if statement.allows]
    return any(action.negated or any("*" in value for value in action.values) for action in actions)


def _is_of_user(_model: ReviewModel, one: Resource) -> bool:
    attached = ("Users",) if one.type == POLICY else ("Policies", "ManagedPolicyArns")
    return any(map(one.items, attached))


def _has_public_permission(_model: ReviewModel, one: Resource) -> bool:
    principal = as_text(one.get("Principal"))
    has_source = bool(one.get("SourceArn") or one.get("SourceAccount"))
    return principal == "*" or (principal.endswith(".amazonaws.com") and not has_source)


@lru_cache(maxsize=1)
def _log_buckets(model: ReviewModel) -> frozenset[str]:
    return frozenset(as_text(one.get("LoggingConfiguration", "DestinationBucketName")) for one in model.of_type(BUCKET))


@lru_cache(maxsize=1)
def _logged_networks(model: ReviewModel) -> frozenset[str]:
    return frozenset(as_text(one.get("ResourceId")) for one in model.of_type("AWS::EC2::FlowLog"))


def _requests_not_logged(model: ReviewModel, one: Resource) -> bool:
    return not one.get("LoggingConfiguration") and one.physical_id not in _log_buckets(model)


def _has_no_own_key(_model: ReviewModel, one: Resource) -> bool:
    rules = map(as_mapping, one.items("BucketEncryption", "ServerSideEncryptionConfiguration"))
    defaults = [as_mapping(rule.get("ServerSideEncryptionByDefault")) for rule in rules]
    return not any(as_text(default.get("SSEAlgorithm")).startswith("aws:kms") for default in defaults)


def _connections_not_logged(model: ReviewModel, one: Resource) -> bool:
    return one.physical_id not in _logged_networks(model)


def _assigns_public_addresses(model: ReviewModel, one: Resource) -> bool:
    has_gateway = next(model.of_type("AWS::EC2::InternetGateway"), None) is not None
    return has_gateway or as_text(one.get("MapPublicIpOnLaunch")) == "true"


def _records_no_objects(_model: ReviewModel, one: Resource) -> bool:
    fields = [
        as_mapping(field)
        for selector in map(as_mapping, one.items("AdvancedEventSelectors"))
        for field in as_list(selector.get("FieldSelectors"))
    ]
    return not any("AWS::S3::Object" in as_list(field.get("Equals")) for field in fields)


_PUBLIC = ("data-private", "data-acls", "data-public-policy")
REQUIREMENTS = (
    Requirement("CloudTrailCloudWatchLogsEnabled", (TRAIL,), _lacks("CloudWatchLogsLogGroupArn")),
    Requirement("CloudTrailEncryptionEnabled", (TRAIL,), _lacks("KMSKeyId"), cis=("3.5",)),
    Requirement(
        "CloudTrailLogFileValidationEnabled", (TRAIL,), _lacks("EnableLogFileValidation", value="true"), cis=("3.2",)
    ),
    Requirement(
        "CloudTrailObjectEvents",
        (TRAIL,),
        _records_no_objects,
        cis=("3.8", "3.9"),
        text="The trail records reads and writes of objects.",
    ),
    Requirement("CloudWatchAlarmAction", (ALARM,), _notifies_nothing),
    Requirement("CloudWatchLogGroupEncrypted", (LOG_GROUP,), _lacks("KmsKeyId")),
    Requirement("CloudWatchLogGroupRetentionPeriod", (LOG_GROUP,), _lacks("RetentionInDays")),
    Requirement("EC2RestrictedCommonPorts", (GROUP,), _is_open),
    Requirement("EC2RestrictedSSH", (GROUP,), _is_open, cis=("5.3", "5.4")),
    Requirement("IAMNoInlinePolicy", (POLICY, ROLE), _is_inline),
    Requirement("IAMPolicyNoStatementsWithAdminAccess", (ROLE, USER), _has_wildcard, cis=("1.15",)),
    Requirement("IAMPolicyNoStatementsWithFullAccess", (ROLE, USER), _has_wildcard),
    Requirement("IAMUserNoPolicies", (POLICY, USER), _is_of_user, cis=("1.14",)),
    Requirement("KMSBackingKeyRotationEnabled", (KEY,), _lacks("EnableKeyRotation", value="true"), cis=("3.6",)),
    Requirement("LambdaConcurrency", (FUNCTION,), _lacks("ReservedConcurrentExecutions")),
    Requirement("LambdaDLQ", (FUNCTION,), _lacks("DeadLetterConfig")),
    Requirement("LambdaFunctionPublicAccessProhibited", ("AWS::Lambda::Permission",), _has_public_permission),
    Requirement("LambdaInsideVPC", (FUNCTION,), _lacks("VpcConfig")),
    Requirement("S3BucketLevelPublicAccessProhibited", (BUCKET,), _never, rules=_PUBLIC, cis=("2.1.4",)),
    Requirement("S3BucketLoggingEnabled", (BUCKET,), _requests_not_logged, cis=("3.4",)),
    Requirement("S3BucketPublicReadProhibited", (BUCKET,), _never, rules=_PUBLIC),
    Requirement("S3BucketPublicWriteProhibited", (BUCKET,), _never, rules=_PUBLIC),
    Requirement("S3BucketReplicationEnabled", (BUCKET,), _lacks("ReplicationConfiguration")),
    Requirement("S3BucketSSLRequestsOnly", (BUCKET,), _never, rules=("data-tls",), cis=("2.1.1",)),
    Requirement("S3BucketVersioningEnabled", (BUCKET,), _lacks("VersioningConfiguration", "Status", value="Enabled")),
    Requirement("S3DefaultEncryptionKMS", (BUCKET,), _has_no_own_key),
    Requirement("VPCDefaultSecurityGroupClosed", (VPC,), _has_default_group, cis=("5.5",)),
    Requirement("VPCFlowLogsEnabled", (VPC,), _connections_not_logged, cis=("3.7",)),
    Requirement("VPCSubnetAutoAssignPublicIpDisabled", ("AWS::EC2::Subnet",), _assigns_public_addresses),
)
"""The requirements, by name.

Sources of the recommendations of CIS: https://docs.aws.amazon.com/securityhub/latest/userguide/cis-aws-foundations-benchmark.html
and https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-controls-reference.html
"""
