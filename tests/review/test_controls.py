"""The states of controls: every requirement fails with one change, and is accepted with a reason at its resource."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sandpiper.review.controls.requirements import REQUIREMENTS
from sandpiper.review.controls.standards import STANDARDS, controls_by_requirement
from sandpiper.review.controls.status import ControlState
from sandpiper.review.formats import FORMATS
from sandpiper.review.report import Report
from tests.review.rule_cases import add, both, drop, grant, put
from tests.support.review_templates import allow, review_of, secure

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper.review.controls.status import ControlStatus
    from tests.support.review_templates import Template

BUCKET = "Bucket.Properties."
ENCRYPTION = BUCKET + "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.SSEAlgorithm"
INGRESS = {"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
PUBLIC = drop(BUCKET + "PublicAccessBlockConfiguration")
LOGGED = both(
    put(BUCKET + "LoggingConfiguration", {"DestinationBucketName": {"Ref": "LogBucket"}}),
    add("LogBucket", "AWS::S3::Bucket"),
)

CASES: dict[str, tuple[Callable[[Template], None] | None, Callable[[Template], None] | None]] = {
    "CloudTrailCloudWatchLogsEnabled": (None, put("Trail.Properties.CloudWatchLogsLogGroupArn", "arn")),
    "CloudTrailEncryptionEnabled": (None, put("Trail.Properties.KMSKeyId", {"Ref": "Key"})),
    "CloudTrailLogFileValidationEnabled": (drop("Trail.Properties.EnableLogFileValidation"), None),
    "CloudTrailObjectEvents": (drop("Trail.Properties.AdvancedEventSelectors.1"), None),
    "CloudWatchAlarmAction": (
        add("Alarm", "AWS::CloudWatch::Alarm"),
        add("Alarm", "AWS::CloudWatch::Alarm", AlarmActions=["arn"]),
    ),
    "CloudWatchLogGroupEncrypted": (drop("Logs.Properties.KmsKeyId"), None),
    "CloudWatchLogGroupRetentionPeriod": (drop("Logs.Properties.RetentionInDays"), None),
    "EC2RestrictedCommonPorts": (put("Group.Properties.SecurityGroupIngress", [INGRESS]), None),
    "EC2RestrictedSSH": (put("Group.Properties.SecurityGroupIngress", [INGRESS]), None),
    "IAMNoInlinePolicy": (None, None),
    "IAMPolicyNoStatementsWithAdminAccess": (grant(allow("*", "*")), None),
    "IAMPolicyNoStatementsWithFullAccess": (grant(allow("s3:*", "*")), None),
    "IAMUserNoPolicies": (
        add("User", "AWS::IAM::User", ManagedPolicyArns=["arn:aws:iam::aws:policy/ReadOnlyAccess"]),
        add("User", "AWS::IAM::User"),
    ),
    "KMSBackingKeyRotationEnabled": (drop("Key.Properties.EnableKeyRotation"), None),
    "LambdaConcurrency": (drop("Function.Properties.ReservedConcurrentExecutions"), None),
    "LambdaDLQ": (None, put("Function.Properties.DeadLetterConfig", {"TargetArn": "arn"})),
    "LambdaFunctionPublicAccessProhibited": (drop("Permission.Properties.SourceArn"), None),
    "LambdaInsideVPC": (None, put("Function.Properties.VpcConfig", {"SubnetIds": ["s"]})),
    "S3BucketLevelPublicAccessProhibited": (PUBLIC, None),
    "S3BucketLoggingEnabled": (None, LOGGED),
    "S3BucketPublicReadProhibited": (PUBLIC, None),
    "S3BucketPublicWriteProhibited": (PUBLIC, None),
    "S3BucketReplicationEnabled": (None, put(BUCKET + "ReplicationConfiguration", {"Role": "arn"})),
    "S3BucketSSLRequestsOnly": (drop("BucketPolicy.Properties.PolicyDocument.Statement.0"), None),
    "S3BucketVersioningEnabled": (put(BUCKET + "VersioningConfiguration.Status", "Suspended"), None),
    "S3DefaultEncryptionKMS": (put(ENCRYPTION, "AES256"), None),
    "VPCDefaultSecurityGroupClosed": (None, None),
    "VPCFlowLogsEnabled": (drop("FlowLog"), None),
    "VPCSubnetAutoAssignPublicIpDisabled": (put("Subnet.Properties.MapPublicIpOnLaunch", True), None),
}
"""By requirement: a change after which it is not met, and one after which it is. None: the secure template is so."""
NEVER_MET = ("IAMNoInlinePolicy", "VPCDefaultSecurityGroupClosed")
"""Not met by the secure template, and by none of the changes."""


def status_of(template: Template, name: str) -> ControlStatus:
    """Returns the state of a requirement."""
    (found,) = (one for one in review_of(template).controls if one.requirement == name)
    return found


def changed(change: Callable[[Template], None] | None) -> Template:
    template = secure()
    if change is not None:
        change(template)
    return template


@pytest.mark.parametrize("name", CASES)
def test_a_requirement_is_met_or_not(name: str) -> None:
    failing, passing = CASES[name]
    failed = status_of(changed(failing), name)
    assert failed.state is ControlState.OPEN
    assert failed.reasons[0].startswith("app/")
    if name not in NEVER_MET:
        met = status_of(changed(passing), name)
        assert met.state is ControlState.MET
        assert met.reasons[0].endswith(".")


def test_every_requirement_has_a_case_and_controls_of_a_standard() -> None:
    assert list(CASES) == [one.name for one in REQUIREMENTS]
    controls = controls_by_requirement()
    assert all(controls[one.name] for one in REQUIREMENTS)
    assert {standard for by_standard in controls.values() for standard in by_standard} == STANDARDS.keys()


def test_a_reason_at_the_resource_accepts_the_requirement_there_only() -> None:
    template = secure()
    suppressed = {"rules_to_suppress": [{"id": "NIST.800.53.R5-LambdaDLQ", "reason": "Step Functions waits"}]}
    put("Function.Metadata", {"cdk_nag": suppressed})(template)
    status = status_of(template, "LambdaDLQ")
    assert (status.state, status.reasons) == (ControlState.ACCEPTED, ("Step Functions waits",))
    add("Other", "AWS::Lambda::Function")(template)
    other = status_of(template, "LambdaDLQ")
    assert (other.state, other.reasons) == (ControlState.OPEN, ("app/Other",))


def test_the_acceptance_of_a_finding_is_one_of_the_requirement() -> None:
    template = secure()
    drop("BucketPolicy.Properties.PolicyDocument.Statement.0")(template)
    accepted = {"Reason": "a copy", "Owner": "team", "Expires": "2999-01-01"}
    put("Bucket.Metadata", {"Sandpiper::Accepted": {"data-tls": accepted}})(template)
    status = status_of(template, "S3BucketSSLRequestsOnly")
    assert (status.state, status.reasons) == (ControlState.ACCEPTED, ("a copy",))


def test_resources_that_the_templates_do_not_contain_are_the_responsibility_of_the_account() -> None:
    template = secure()
    drop("Trail")(template)
    status = status_of(template, "CloudTrailLogFileValidationEnabled")
    assert status.state is ControlState.ACCOUNT
    assert "The templates contain no AWS::CloudTrail::Trail." in status.reasons[0]
    assert "" in {one.requirement for one in review_of(template).controls if one.state is ControlState.ACCOUNT}


def test_reports_show_the_controls() -> None:
    report = Report(review_of(secure()))
    listed = json.loads(FORMATS["json"](report))["controls"]
    versions = next(one for one in listed if one["requirement"] == "S3BucketVersioningEnabled")
    assert (versions["state"], versions["reasons"]) == ("met", ["Every bucket keeps old versions."])
    assert versions["controls"]["PCI DSS 3.2.1"] == ["10.5.3"]
    assert "| S3BucketVersioningEnabled | met | Every bucket keeps old versions. | AU-9, CP-1" in FORMATS["md"](report)
    page = FORMATS["html"](report)
    assert '<th scope="col">CIS AWS Foundations Benchmark 5.0.0</th>' in page
    assert '<th scope="row">S3BucketVersioningEnabled</th><td class="proved">met</td>' in page
