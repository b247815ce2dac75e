"""CloudFormation applies the properties of buckets and interpreters, and keeps resources that it cannot delete."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local_agentcore.faults import Rule
from tests.support.assemblies import synthesize
from tests.support.stacks import create, delete, reasons, wait_until_settled
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local_agentcore.admin_client import FaultInjector

pytestmark = [
    pytest.mark.skipif(ON_AWS, reason="creates buckets and interpreters"),
    pytest.mark.usefixtures("aws"),
]

INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreterCustom"
IN_USE = Rule("error", "DeleteCodeInterpreter", code="ConflictException")
KEY = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"


def template(**resources: Mapping[str, Any]) -> dict[str, Any]:
    return {"Resources": resources}


def bucket(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, **properties}}


def interpreter(name: str, **attributes: Any) -> dict[str, Any]:
    properties = {"Name": name, "NetworkConfiguration": {"NetworkMode": "SANDBOX"}, **attributes.pop("Properties", {})}
    return {"Type": INTERPRETER, "Properties": properties, **attributes}


def log_groups(prefix: str) -> set[str]:
    groups = boto3.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    return {each.get("logGroupName", "") for each in groups}


def new_name() -> str:
    return f"stack{uuid.uuid4().hex[:8]}"


def update(stack: str, changed: Mapping[str, Any], **options: Any) -> str:
    """Updates a stack. Returns the final status."""
    boto3.client("cloudformation").update_stack(StackName=stack, TemplateBody=json.dumps(changed), **options)
    return wait_until_settled(stack)


def resources(stack: str) -> dict[str, str]:
    """Returns the statuses of the resources of a stack, by logical ID."""
    summaries = boto3.client("cloudformation").list_stack_resources(StackName=stack)["StackResourceSummaries"]
    return {each["LogicalResourceId"]: each["ResourceStatus"] for each in summaries}


def buckets() -> set[str]:
    return {each.get("Name", "") for each in boto3.client("s3").list_buckets()["Buckets"]}


def interpreters() -> dict[str, str]:
    """Returns the IDs of all custom interpreters, by name."""
    control: Any = boto3.client("bedrock-agentcore-control")
    summaries = control.list_code_interpreters(type="CUSTOM", maxResults=100)["codeInterpreterSummaries"]
    return {each["name"]: each["codeInterpreterId"] for each in summaries}


SETTINGS: dict[str, Any] = {
    "BucketEncryption": {
        "ServerSideEncryptionConfiguration": [
            {
                "BucketKeyEnabled": True,
                "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
            }
        ]
    },
    "LifecycleConfiguration": {
        "Rules": [
            {
                "Id": "old",
                "Status": "Enabled",
                "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 2},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            },
            {"Id": "runs", "Status": "Enabled", "Prefix": "runs/", "ExpirationInDays": 90},
            {
                "Id": "tagged",
                "Status": "Disabled",
                "Prefix": "a/",
                "TagFilters": [{"Key": "keep", "Value": "no"}],
                "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 5}],
                "NoncurrentVersionTransitions": [{"StorageClass": "GLACIER", "TransitionInDays": 7}],
            },
        ]
    },
    "LoggingConfiguration": {"DestinationBucketName": "other-logs", "LogFilePrefix": "from/"},
    "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
    "Tags": [{"Key": "team", "Value": "a"}],
    "VersioningConfiguration": {"Status": "Enabled"},
}


def settings(name: str) -> dict[str, Any]:
    """Returns the settings of a bucket, without the tags that CloudFormation adds."""
    s3: Any = boto3.client("s3")
    try:
        rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    except s3.exceptions.ClientError as error:
        rules = error.response["Error"]["Code"]
    try:
        ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    except s3.exceptions.ClientError as error:
        ownership = error.response["Error"]["Code"]
    tags = {each["Key"]: each["Value"] for each in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
    return {
        "encryption": s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"],
        "lifecycle": rules,
        "logging": s3.get_bucket_logging(Bucket=name).get("LoggingEnabled"),
        "ownership": ownership,
        "tags": {key: value for key, value in tags.items() if not key.startswith("aws:")},
        "versioning": s3.get_bucket_versioning(Bucket=name).get("Status"),
    }


def test_a_bucket_has_the_settings_of_its_template_after_creation_and_update() -> None:
    name = new_name()
    stack, status = create(template(Data=bucket(name, **SETTINGS)), Tags=[{"Key": "owner", "Value": "b"}])
    assert status == "CREATE_COMPLETE"
    assert settings(name) == {
        "encryption": [
            {
                "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
                "BucketKeyEnabled": True,
            }
        ],
        "lifecycle": [
            {
                "ID": "old",
                "Filter": {"Prefix": ""},
                "Status": "Enabled",
                "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 2},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            },
            {"ID": "runs", "Filter": {"Prefix": "runs/"}, "Status": "Enabled", "Expiration": {"Days": 90}},
            {
                "ID": "tagged",
                "Filter": {
                    "And": {"Prefix": "a/", "Tags": [{"Key": "keep", "Value": "no"}], "ObjectSizeGreaterThan": 0}
                },
                "Status": "Disabled",
                "Transitions": [{"Days": 5, "StorageClass": "GLACIER"}],
                "NoncurrentVersionTransitions": [{"NoncurrentDays": 7, "StorageClass": "GLACIER"}],
            },
        ],
        "logging": {"TargetBucket": "other-logs", "TargetPrefix": "from/"},
        "ownership": [{"ObjectOwnership": "BucketOwnerPreferred"}],
        "tags": {"team": "a", "owner": "b"},
        "versioning": "Enabled",
    }

    s3_managed = {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    changed = bucket(name, BucketEncryption=s3_managed, VersioningConfiguration={"Status": "Suspended"})
    assert update(stack, template(Data=changed)) == "UPDATE_COMPLETE"
    default_encryption = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
    assert settings(name) == {
        "encryption": default_encryption,
        "lifecycle": "NoSuchLifecycleConfiguration",
        "logging": None,
        "ownership": "OwnershipControlsNotFoundError",
        "tags": {"owner": "b"},
        "versioning": "Suspended",
    }
    assert update(stack, template(Data=bucket(name))) == "UPDATE_COMPLETE"
    assert settings(name)["encryption"] == default_encryption
    assert delete(stack) == "DELETE_COMPLETE"
    assert name not in buckets()


def test_a_bucket_with_an_invalid_setting_is_deleted_again() -> None:
    name, invalid = new_name(), {"Rules": [{"Id": "x", "Status": "Enabled", "ExpirationInDays": 0}]}
    stack, status = create(template(Data=bucket(name, LifecycleConfiguration=invalid)))
    assert status == "ROLLBACK_COMPLETE"
    assert "'Days' for Expiration action must be a positive integer" in reasons(stack, "CREATE_FAILED")[0]
    assert name not in buckets()


def test_a_bucket_is_deleted_only_when_it_is_empty() -> None:
    name = new_name()
    stack, _ = create(template(Data=bucket(name, VersioningConfiguration={"Status": "Enabled"})))
    s3: Any = boto3.resource("s3")
    s3.Object(name, "a.txt").put(Body=b"kept")
    s3.Object(name, "a.txt").delete()
    assert delete(stack) == "DELETE_FAILED"
    (reason,) = reasons(stack, "DELETE_FAILED")
    assert reason.startswith("The bucket you tried to delete is not empty. You must delete all versions in the bucket.")
    assert resources(stack) == {"Data": "DELETE_FAILED"}
    assert name in buckets()

    s3.Bucket(name).object_versions.delete()
    assert delete(stack) == "DELETE_COMPLETE"
    assert name not in buckets()


def test_tags_of_an_interpreter_are_updated_in_place() -> None:
    name = new_name()

    def tagged(**tags: str) -> dict[str, Any]:
        return template(Sandbox=interpreter(name, Properties={"Tags": tags}))

    def tags() -> dict[str, str]:
        control: Any = boto3.client("bedrock-agentcore-control")
        arn = control.get_code_interpreter(codeInterpreterId=interpreters()[name])["codeInterpreterArn"]
        all_tags = control.list_tags_for_resource(resourceArn=arn)["tags"]
        return {key: value for key, value in all_tags.items() if not key.startswith("aws:cloudformation:")}

    stack, _ = create(tagged(team="a", removed="x"), Tags=[{"Key": "owner", "Value": "b"}])
    identifier = interpreters()[name]
    assert tags() == {"team": "a", "removed": "x", "owner": "b"}
    assert update(stack, tagged(team="c", new="y")) == "UPDATE_COMPLETE"
    assert tags() == {"team": "c", "new": "y", "owner": "b"}
    assert update(stack, tagged(team="c", new="y"), Tags=[{"Key": "owner", "Value": "d"}]) == "UPDATE_COMPLETE"
    assert tags() == {"team": "c", "new": "y", "owner": "d"}
    assert interpreters()[name] == identifier
    assert delete(stack) == "DELETE_COMPLETE"


def test_dependencies_stay_while_a_resource_cannot_be_deleted(faults: FaultInjector) -> None:
    dependency, independent = new_name(), new_name()
    stack, _ = create(
        template(
            Dependency=bucket(dependency),
            Sandbox=interpreter(new_name(), DependsOn="Dependency"),
            Independent=bucket(independent),
        )
    )
    faults.inject(IN_USE)
    assert delete(stack) == "DELETE_FAILED"
    assert resources(stack) == {"Dependency": "CREATE_COMPLETE", "Sandbox": "DELETE_FAILED"}
    assert (dependency in buckets(), independent in buckets()) == (True, False)

    faults.clear()
    assert delete(stack) == "DELETE_COMPLETE"
    assert dependency not in buckets()


def test_a_resource_that_cannot_be_deleted_is_retained_by_retain_resources(faults: FaultInjector) -> None:
    dependency, retained = new_name(), new_name()
    stack, _ = create(template(Dependency=bucket(dependency), Sandbox=interpreter(retained, DependsOn="Dependency")))
    faults.inject(IN_USE)
    assert delete(stack) == "DELETE_FAILED"
    assert delete(stack, RetainResources=["Sandbox"]) == "DELETE_COMPLETE"
    assert (dependency in buckets(), retained in interpreters()) == (False, True)


def test_a_resource_that_a_rollback_cannot_delete_stays_in_the_stack(faults: FaultInjector) -> None:
    name = new_name()
    fails = bucket(new_name(), LifecycleConfiguration={"Rules": [{"Status": "Enabled", "ExpirationInDays": 0}]})
    faults.inject(IN_USE)
    stack, status = create(template(Sandbox=interpreter(name), Fails={**fails, "DependsOn": "Sandbox"}))
    assert status == "ROLLBACK_FAILED"
    assert resources(stack) == {"Sandbox": "DELETE_FAILED"}
    assert name in interpreters()

    faults.clear()
    assert delete(stack) == "DELETE_COMPLETE"
    assert name not in interpreters()


def test_a_stack_that_is_created_again_keeps_the_log_group_of_the_first(tmp_path: Path) -> None:
    """Uses the log group of a workflow, as in the template of a tenant."""
    assembly = synthesize(tmp_path, {"interpreters": {"run": {}}})
    (group,) = (
        each
        for name, each in assembly["sandpiper-one-main"].content["Resources"].items()
        if name.startswith("RunCodeLogs")
    )
    cloudformation, name = boto3.client("cloudformation"), new_name()
    body = json.dumps(template(Logs=group))
    for _ in range(2):
        stack = cloudformation.create_stack(StackName=name, TemplateBody=body)["StackId"]
        assert wait_until_settled(stack) == "CREATE_COMPLETE"
        assert delete(stack) == "DELETE_COMPLETE"
    kept = log_groups("/aws/vendedlogs/states/sandpiper-one-main-run-code/")
    assert len(kept) == 2
    for each in kept:
        boto3.client("logs").delete_log_group(logGroupName=each)
