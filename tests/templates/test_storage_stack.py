"""The data is private and encrypted, and is kept for the periods of the environment file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest

from sandpiper.environment import Environment
from sandpiper.environment.lifecycle import expiration_days
from sandpiper_constructs.data_bucket import DataBucket

if TYPE_CHECKING:
    from tests.support.assemblies import Assembly

BUCKET = "AWS::S3::Bucket"
NAME = "sandpiper-dev-111122223333-eu-west-1"


def _bucket(assembly: Assembly, stack: str, name: str) -> dict[str, Any]:
    (bucket,) = (each for each in assembly[stack].resources(BUCKET).values() if each["BucketName"] == name)
    return bucket


@pytest.mark.parametrize("name", [NAME, f"{NAME}-logs"])
def test_both_buckets_are_private_encrypted_and_without_acls(dev: Assembly, name: str) -> None:
    bucket = _bucket(dev, "sandpiper-dev-storage", name)
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_both_buckets_require_tls_1_2(dev: Assembly) -> None:
    policies = dev["sandpiper-dev-storage"].resources("AWS::S3::BucketPolicy").values()
    assert len(policies) == 2
    for policy in policies:
        denied = [
            each
            for each in policy["PolicyDocument"]["Statement"]
            if each["Effect"] == "Deny" and each["Principal"] == {"AWS": "*"} and len(each["Resource"]) == 2
        ]
        assert [each["Action"] for each in denied] == ["s3:*", "s3:*"]
        assert [each["Condition"] for each in denied] == [
            {"Bool": {"aws:SecureTransport": "false"}},
            {"NumericLessThan": {"s3:TlsVersion": 1.2}},
        ]


def test_bucket_policies_allow_only_the_logging_service(dev: Assembly) -> None:
    allowed = [
        statement
        for policy in dev["sandpiper-dev-storage"].resources("AWS::S3::BucketPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    (logging,) = allowed
    assert logging["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert logging["Action"] == "s3:PutObject"
    assert logging["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}


def test_overwritten_data_can_be_restored_for_30_days(dev: Assembly) -> None:
    bucket = _bucket(dev, "sandpiper-dev-storage", NAME)
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["Leftovers"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rules["Leftovers"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_access_logs_are_versioned_and_expire(dev: Assembly) -> None:
    bucket = _bucket(dev, "sandpiper-dev-storage", f"{NAME}-logs")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["NoncurrentVersionExpiration"]) == (365, {"NoncurrentDays": 30})


def test_all_data_of_each_tenant_expires_after_90_days(dev: Assembly) -> None:
    rules = _bucket(dev, "sandpiper-dev-storage", NAME)["LifecycleConfiguration"]["Rules"]
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule} == {
        "tenants/claims/": 90,
        "tenants/analytics/": 90,
    }


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        ({}, {"": 90}),
        ({"runs": 30}, {"": 90, "runs/": 30}),
        ({"runs": 30, "sandbox": 7}, {"runs/": 30, "inputs/": 90, "sandbox/": 7}),
        ({"runs": 365, "inputs": 365}, {"": 365, "sandbox/": 90}),
        ({"inputs": None}, {"runs/": 90, "sandbox/": 90}),
        ({"inputs": None, "sandbox": None}, {"runs/": 90}),
    ],
)
def test_each_folder_has_its_own_retention_with_as_few_rules_as_possible(
    periods: dict[str, int | None], expected: dict[str, int]
) -> None:
    options = {"name": "one", "account": "111122223333", "region": "eu-west-1", "owner": "tests"}
    retention = {"data_bucket": {"retention_days": periods}}
    environment = Environment.model_validate({**options, **retention, "tenants": {"a": {"interpreters": {"run": {}}}}})
    assert {f"{folder}/": days for folder, days in expiration_days(environment).items()} == {
        f"tenants/a/{part}": days for part, days in expected.items()
    }


@pytest.mark.parametrize(("environment", "policy"), [("dev", "RetainExceptOnCreate"), ("local", "Delete")])
def test_retained_data_outlives_its_stack_except_after_a_failed_first_deployment(
    assemblies: dict[str, Assembly], environment: str, policy: str
) -> None:
    resources = assemblies[environment][f"sandpiper-{environment}-storage"].content["Resources"].values()
    # A retained bucket keeps its policy, which requires TLS.
    deletion_policies = [
        each["DeletionPolicy"] for each in resources if each["Type"] in (BUCKET, "AWS::S3::BucketPolicy")
    ]
    assert deletion_policies == [policy] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Data"}, "name is 'Data'"),
        ({"name": "d" * 59}, "name is 'd+'"),
        ({"name": "data", "access_log_days": 0}, "access_log_days is 0"),
        ({"name": "data", "expiration_days": {"runs": 0}}, "runs is 0"),
    ],
)
def test_invalid_options_are_rejected_before_the_first_resource(options: dict[str, Any], message: str) -> None:
    stack = cdk.Stack()
    with pytest.raises(ValueError, match=message):
        DataBucket(stack, "Data", **options)
    assert not stack.node.children
