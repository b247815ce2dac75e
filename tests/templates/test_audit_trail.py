"""The audit trail: the events that it records, and who can write and delete its log files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from sandpiper_constructs.audit_trail import AuditTrail
from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.evaluate import Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import synthesize
from tests.support.policy_documents import resolved

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.assemblies import Assembly, Template

BUCKET, TRAIL = "AWS::S3::Bucket", "AWS::CloudTrail::Trail"
OWN: dict[str, Any] = {"interpreters": {"run": {}}, "audit": {"trail": "own"}}
NAME = f"sandpiper-one-{ACCOUNT}-{REGION}-audit"
ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/sandpiper-one-audit"
FILE = f"arn:aws:s3:::{NAME}/AWSLogs/{ACCOUNT}/CloudTrail/file.json.gz"
FULL_CONTROL = {"s3:x-amz-acl": "bucket-owner-full-control", "s3:TlsVersion": "1.3", "aws:SecureTransport": "true"}
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/administrator"


@pytest.fixture(scope="module")
def storage(in_the_repository: None, tmp_path_factory: pytest.TempPathFactory) -> Template:  # noqa: ARG001
    """The storage stack of an environment with an audit trail."""
    return synthesize(tmp_path_factory.mktemp("audit"), OWN)["sandpiper-one-storage"]


def bucket_of(template: Template, name: str = NAME) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the resource of a bucket, and its policy without references."""
    resources = template.content["Resources"]
    (logical_id,) = (
        each for each, one in resources.items() if one["Type"] == BUCKET and one["Properties"]["BucketName"] == name
    )
    (policy,) = (
        one["PolicyDocument"]
        for one in template.resources("AWS::S3::BucketPolicy").values()
        if one["Bucket"] == {"Ref": logical_id}
    )
    return resources[logical_id], resolved(policy, f"arn:aws:s3:::{name}")


def test_trail_records_data_events_of_the_environment_and_validates_its_files(storage: Template) -> None:
    trail = storage.only(TRAIL)
    assert (trail["IsLogging"], trail["EnableLogFileValidation"]) == (True, True)
    assert (trail["IsMultiRegionTrail"], trail["IncludeGlobalServiceEvents"]) == (False, False)
    selectors = [
        {field["Field"]: field.get("Equals") or field.get("StartsWith") for field in each["FieldSelectors"]}
        for each in trail["AdvancedEventSelectors"]
    ]
    assert {each["eventCategory"][0] for each in selectors} == {"Data"}, "management events are recorded elsewhere"
    assert {each["resources.type"][0]: each.get("resources.ARN") for each in selectors} == {
        "AWS::S3::Object": [f"arn:aws:s3:::sandpiper-one-{ACCOUNT}-{REGION}/"],
        "AWS::BedrockAgentCore::CodeInterpreterCustom": [
            f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom/one__"
        ],
        "AWS::BedrockAgentCore::CodeInterpreter": None,
    }


def test_bucket_of_the_trail_is_private_versioned_and_kept(storage: Template) -> None:
    resource, _ = bucket_of(storage)
    properties = resource["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["NoncurrentVersionExpiration"]) == (365, {"NoncurrentDays": 30})
    assert properties["LoggingConfiguration"]["LogFilePrefix"] == "audit/"
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


@pytest.mark.parametrize(
    ("principal", "action", "resource", "keys", "allowed"),
    [
        ("cloudtrail.amazonaws.com", "s3:PutObject", FILE, {"aws:SourceArn": ARN}, True),
        ("cloudtrail.amazonaws.com", "s3:GetBucketAcl", f"arn:aws:s3:::{NAME}", {"aws:SourceArn": ARN}, True),
        ("cloudtrail.amazonaws.com", "s3:PutObject", FILE, {"aws:SourceArn": f"{ARN}-other"}, False),
        (
            "cloudtrail.amazonaws.com",
            "s3:PutObject",
            FILE.replace(ACCOUNT + "/", "999999999999/"),
            {"aws:SourceArn": ARN},
            False,
        ),
        ("cloudtrail.amazonaws.com", "s3:DeleteObject", FILE, {"aws:SourceArn": ARN}, False),
        (ADMINISTRATOR, "s3:GetObject", FILE, {}, True),
        (ADMINISTRATOR, "s3:PutObject", FILE, {}, False),
        (ADMINISTRATOR, "s3:DeleteObject", FILE, {}, False),
        (ADMINISTRATOR, "s3:DeleteObjectVersion", FILE, {}, False),
        (ADMINISTRATOR, "s3:PutBucketPolicy", f"arn:aws:s3:::{NAME}", {}, True),
        (ADMINISTRATOR, "s3:GetObject", FILE, {"s3:TlsVersion": "1.1"}, False),
    ],
)
def test_only_the_trail_writes_log_files_and_no_principal_deletes_them(
    storage: Template, principal: str, action: str, resource: str, keys: dict[str, str], allowed: bool
) -> None:
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    policies = Policies(
        identity=[] if principal.endswith("amazonaws.com") else [parse_policy("all", PolicyKind.IDENTITY, everything)],
        resource=parse_policy("bucket", PolicyKind.RESOURCE, bucket_of(storage)[1]),
    )
    request = Request(Principal.parse(principal), action, resource, ACCOUNT, FULL_CONTROL | keys)
    assert evaluate(request, policies).allowed is allowed


def test_log_files_are_encrypted_with_the_key_of_the_environment(rich: Assembly) -> None:
    template = rich["sandpiper-one-storage"]
    trail, key = template.only(TRAIL), template.only("AWS::KMS::Key")
    (logical_id,) = template.resources("AWS::KMS::Key")
    assert trail["KMSKeyId"] == {"Fn::GetAtt": [logical_id, "Arn"]}
    statements = {each["Sid"]: each for each in key["KeyPolicy"]["Statement"]}
    arn = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/sandpiper-one-audit"
    for sid in ("EncryptAuditTrail", "DescribeForAuditTrail"):
        assert statements[sid]["Condition"]["StringEquals"]["aws:SourceArn"] == arn
    assert statements["ReadAuditTrail"]["Condition"]["StringEquals"]["kms:EncryptionContext:aws:cloudtrail:arn"] == arn
    (rule,) = bucket_of(template, "sandpiper-one-111122223333-eu-west-1-audit")[0]["Properties"][
        "LifecycleConfiguration"
    ]["Rules"]
    assert rule["ExpirationInDays"] == 400


@pytest.mark.parametrize("audit", [{}, {"audit": {"trail": "organization"}}])
def test_no_trail_is_created_by_default_or_with_an_existing_one(tmp_path: Path, audit: dict[str, Any]) -> None:
    template = synthesize(tmp_path, {"interpreters": {"run": {}}, **audit})["sandpiper-one-storage"]
    assert template.resources(TRAIL) == {}
    assert len(template.resources(BUCKET)) == 2


def test_trail_of_an_existing_data_bucket_is_in_the_storage_stack(tmp_path: Path) -> None:
    assembly = synthesize(tmp_path, {**OWN, "data_bucket": {"name": "lake"}})
    template = assembly["sandpiper-one-storage"]
    names = {each["BucketName"] for each in template.resources(BUCKET).values()}
    assert names == {NAME, NAME.replace("-audit", "-logs")}
    objects, *_ = template.only(TRAIL)["AdvancedEventSelectors"]
    assert objects["FieldSelectors"][2] == {"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::lake/"]}
    assert "sandpiper-one-storage" in assembly.manifest["artifacts"]["sandpiper-one-main"]["dependencies"]


def test_buckets_of_the_trail_are_deleted_with_an_environment_that_retains_nothing(tmp_path: Path) -> None:
    template = synthesize(tmp_path, {**OWN, "data_bucket": {"retain": False}})["sandpiper-one-storage"]
    assert bucket_of(template)[0]["DeletionPolicy"] == "Delete"


def test_trail_without_a_selector_is_rejected_before_the_first_resource() -> None:
    stack = cdk.Stack()
    logs: Any = s3.Bucket.from_bucket_name(stack, "Logs", "logs")
    count = len(stack.node.children)
    with pytest.raises(ValueError, match="selectors is empty"):
        AuditTrail(stack, "Audit", name="audit", bucket_name="audit", selectors=[], access_logs=logs)
    assert len(stack.node.children) == count
