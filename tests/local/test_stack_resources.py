"""Stack resources that CloudFormation creates, changes and deletes.

Buckets and interpreters match their templates, and nothing that could not be deleted is lost.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local_agentcore.faults import Rule
from tests.local.target import ON_AWS
from tests.local.test_service_roles import create, reasons, settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_agentcore.admin_client import FaultInjector

pytestmark = [
    pytest.mark.skipif(ON_AWS, reason="it makes buckets and interpreters"),
    pytest.mark.usefixtures("aws"),
]

INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreterCustom"
IN_USE = Rule("error", "DeleteCodeInterpreter", code="ConflictException")
KEY = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"


def template(**resources: Mapping[str, Any]) -> dict[str, Any]:
    return {"Resources": resources}


def bucket(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, **properties}}


def interpreter(name: str, **more: Any) -> dict[str, Any]:
    properties = {"Name": name, "NetworkConfiguration": {"NetworkMode": "SANDBOX"}, **more.pop("Properties", {})}
    return {"Type": INTERPRETER, "Properties": properties, **more}


def new_name() -> str:
    return f"stack{uuid.uuid4().hex[:8]}"


def update(stack: str, changed: Mapping[str, Any], **options: Any) -> str:
    """Updates a stack; returns the status that it comes to."""
    boto3.client("cloudformation").update_stack(StackName=stack, TemplateBody=json.dumps(changed), **options)
    return settled(stack)


def delete(stack: str, **options: Any) -> str:
    """Deletes a stack; returns the status that it comes to."""
    boto3.client("cloudformation").delete_stack(StackName=stack, **options)
    return settled(stack)


def resources(stack: str) -> dict[str, str]:
    """Of a stack, with their statuses."""
    found = boto3.client("cloudformation").list_stack_resources(StackName=stack)["StackResourceSummaries"]
    return {each["LogicalResourceId"]: each["ResourceStatus"] for each in found}


def buckets() -> set[str]:
    return {each.get("Name", "") for each in boto3.client("s3").list_buckets()["Buckets"]}


def interpreters() -> dict[str, str]:
    """Ids by name."""
    control: Any = boto3.client("bedrock-agentcore-control")
    found = control.list_code_interpreters(type="CUSTOM", maxResults=100)["codeInterpreterSummaries"]
    return {each["name"]: each["codeInterpreterId"] for each in found}


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
    "LoggingConfiguration": {"DestinationBucketName": "logs-of-others", "LogFilePrefix": "from/"},
    "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
    "Tags": [{"Key": "team", "Value": "a"}],
    "VersioningConfiguration": {"Status": "Enabled"},
}


def settings(name: str) -> dict[str, Any]:
    """What S3 says of a bucket; tags without CloudFormation's own."""
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


def test_a_bucket_is_as_its_template_says_and_as_it_says_later() -> None:
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
        "logging": {"TargetBucket": "logs-of-others", "TargetPrefix": "from/"},
        "ownership": [{"ObjectOwnership": "BucketOwnerPreferred"}],
        "tags": {"team": "a", "owner": "b"},
        "versioning": "Enabled",
    }

    by_s3 = {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    changed = bucket(name, BucketEncryption=by_s3, VersioningConfiguration={"Status": "Suspended"})
    assert update(stack, template(Data=changed)) == "UPDATE_COMPLETE"
    of_s3 = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
    assert settings(name) == {
        "encryption": of_s3,
        "lifecycle": "NoSuchLifecycleConfiguration",
        "logging": None,
        "ownership": "OwnershipControlsNotFoundError",
        "tags": {"owner": "b"},
        "versioning": "Suspended",
    }
    assert update(stack, template(Data=bucket(name))) == "UPDATE_COMPLETE"
    assert settings(name)["encryption"] == of_s3
    assert delete(stack) == "DELETE_COMPLETE"
    assert name not in buckets()


def test_a_bucket_that_s3_refuses_a_setting_is_not_left() -> None:
    name, forever = new_name(), {"Rules": [{"Id": "x", "Status": "Enabled", "ExpirationInDays": 0}]}
    stack, status = create(template(Data=bucket(name, LifecycleConfiguration=forever)))
    assert status == "ROLLBACK_COMPLETE"
    assert "'Days' for Expiration action must be a positive integer" in reasons(stack, "CREATE_FAILED")[0]
    assert name not in buckets()


def test_a_bucket_with_something_in_it_is_not_deleted_until_it_is_empty() -> None:
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


def test_tags_of_an_interpreter_are_changed_in_place() -> None:
    name = new_name()

    def tagged(**tags: str) -> dict[str, Any]:
        return template(Sandbox=interpreter(name, Properties={"Tags": tags}))

    def tags() -> dict[str, str]:
        control: Any = boto3.client("bedrock-agentcore-control")
        arn = control.get_code_interpreter(codeInterpreterId=interpreters()[name])["codeInterpreterArn"]
        found = control.list_tags_for_resource(resourceArn=arn)["tags"]
        return {key: value for key, value in found.items() if not key.startswith("aws:cloudformation:")}

    stack, _ = create(tagged(team="a", gone="x"), Tags=[{"Key": "owner", "Value": "b"}])
    made = interpreters()[name]
    assert tags() == {"team": "a", "gone": "x", "owner": "b"}
    assert update(stack, tagged(team="c", new="y")) == "UPDATE_COMPLETE"
    assert tags() == {"team": "c", "new": "y", "owner": "b"}
    assert update(stack, tagged(team="c", new="y"), Tags=[{"Key": "owner", "Value": "d"}]) == "UPDATE_COMPLETE"
    assert tags() == {"team": "c", "new": "y", "owner": "d"}
    assert interpreters()[name] == made
    assert delete(stack) == "DELETE_COMPLETE"


def test_what_a_resource_needs_stays_while_it_cannot_be_deleted(faults: FaultInjector) -> None:
    needed, alone = new_name(), new_name()
    stack, _ = create(
        template(
            Needed=bucket(needed),
            Sandbox=interpreter(new_name(), DependsOn="Needed"),
            Alone=bucket(alone),
        )
    )
    faults.inject(IN_USE)
    assert delete(stack) == "DELETE_FAILED"
    assert resources(stack) == {"Needed": "CREATE_COMPLETE", "Sandbox": "DELETE_FAILED"}
    assert (needed in buckets(), alone in buckets()) == (True, False)

    faults.clear()
    assert delete(stack) == "DELETE_COMPLETE"
    assert needed not in buckets()


def test_what_cannot_be_deleted_is_retained_when_it_is_named(faults: FaultInjector) -> None:
    needed, kept = new_name(), new_name()
    stack, _ = create(template(Needed=bucket(needed), Sandbox=interpreter(kept, DependsOn="Needed")))
    faults.inject(IN_USE)
    assert delete(stack) == "DELETE_FAILED"
    assert delete(stack, RetainResources=["Sandbox"]) == "DELETE_COMPLETE"
    assert (needed in buckets(), kept in interpreters()) == (False, True)


def test_what_a_rollback_could_not_delete_stays_in_the_stack(faults: FaultInjector) -> None:
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
