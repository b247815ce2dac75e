"""The table of actions of CloudFormation's resources, compared with AWS's list of actions (`iam-data`)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from local_aws.ministack.resource_actions.permissions import (
    Permission,
    create_permissions,
    delete_permissions,
    update_permissions,
)
from local_aws.ministack.resource_actions.table import RESOURCE_ACTIONS
from tests.support.iam_data import listed

LOCATION = {"account": "123456789012", "region": "us-east-1"}
TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"
REFERENCES: dict[str, Any] = {
    "Bucket": "bucket",
    "FunctionName": "function",
    "GroupId": "sg-0123456789abcdef0",
    "LogGroupName": "/a/group",
    "Queues": ["https://sqs.us-east-1.amazonaws.com/123456789012/queue"],
    "ResolverQueryLogConfigId": "rqlc-0123456789abcdef0",
    "Roles": ["role", "another"],
    "ResourceId": "vpc-0123456789abcdef0",
    "RouteTableId": "rtb-0123456789abcdef0",
    "RouteTableIds": ["rtb-0123456789abcdef0"],
    "SecurityGroupIds": ["sg-0123456789abcdef0"],
    "SubnetId": "subnet-0123456789abcdef0",
    "SubnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "TargetFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:function",
    "TopicArn": TOPIC,
    "Topics": [TOPIC],
    "VpcId": "vpc-0123456789abcdef0",
}
"""Properties that refer to another resource."""
CORRECTIONS = {"logs:DeleteDeliverySource": "delivery-source"}
"""AWS's list has a delivery destination here, but the call has a delivery source."""
NAMES = {
    "AWS::KMS::Alias": "alias/key",
    "AWS::Lambda::LayerVersion": "arn:aws:lambda:us-east-1:123456789012:layer:layer:1",
}


def resources_of(action: str) -> list[str]:
    """Returns regular expressions of the resources of an action. Raises KeyError for an unknown action."""
    service, _, name = action.partition(":")
    description, types = listed("actions", service)[name.lower()], listed("resourceTypes", service)
    assert description["name"] == name
    type_names = [str(CORRECTIONS.get(action, item["name"])) for item in description["resourceTypes"]]
    arns = [types[type_name.lower()]["arn"] for type_name in type_names]
    return [".+".join(re.escape(part) for part in re.split(r"\$\{\w+\}", arn)) for arn in arns] or [r"\*"]


@pytest.mark.parametrize("resource_type", RESOURCE_ACTIONS)
def test_every_action_exists_for_its_resource(resource_type: str) -> None:
    actions, name = RESOURCE_ACTIONS[resource_type], NAMES.get(resource_type, "name")
    with_actions: dict[str, Any] = {
        key: ["x"] for key in {**actions.property_actions, **actions.property_delete_actions} if key != "Tags"
    }
    minimal = {
        key: value for key, value in REFERENCES.items() if f"{{{key}}}" in actions.arn or key in actions.parent_arns
    }
    complete = minimal | with_actions | {"Tags": [{"Key": "team", "Value": "a"}]}
    permissions = [
        *create_permissions(resource_type, "layer" if "Layer" in resource_type else name, complete, LOCATION),
        *update_permissions(resource_type, name, minimal, complete | {"Anything": "else"}, LOCATION),
        *delete_permissions(resource_type, name, complete, LOCATION),
    ]
    assert permissions
    for permission in permissions:
        patterns = resources_of(permission.action)
        assert any(re.fullmatch(pattern, permission.resource) for pattern in patterns), permission


def test_an_unknown_action_is_not_in_the_list() -> None:
    with pytest.raises(KeyError):
        resources_of("s3:CreateEverything")


def summary(permissions: list[Permission]) -> list[tuple[str, str]]:
    return [(permission.action, permission.resource.rpartition(":")[2]) for permission in permissions]


def test_an_update_needs_the_actions_of_the_changed_properties() -> None:
    before = {"BucketName": "data", "Tags": [{"Key": "team", "Value": "a"}]}
    versioned = before | {"VersioningConfiguration": {"Status": "Enabled"}}
    assert summary(update_permissions("AWS::S3::Bucket", "data", before, before, LOCATION)) == []
    assert summary(update_permissions("AWS::S3::Bucket", "data", before, versioned, LOCATION)) == [
        ("s3:PutBucketVersioning", "data")
    ]
    renamed = {**before, "BucketName": "other"}
    assert summary(update_permissions("AWS::S3::Bucket", "data", before, renamed, LOCATION)) == [
        ("s3:CreateBucket", "other"),
        ("s3:PutBucketTagging", "other"),
        ("s3:DeleteBucket", "data"),
    ]


def test_an_update_of_a_type_without_update_actions_is_a_replacement() -> None:
    resource_type, role = "AWS::BedrockAgentCore::CodeInterpreterCustom", "arn:aws:iam::123456789012:role/runs"
    before, after = {"Name": "a", "ExecutionRoleArn": role}, {"Name": "b", "ExecutionRoleArn": role}
    assert summary(update_permissions(resource_type, "a-0123456789", before, after, LOCATION)) == [
        ("bedrock-agentcore:CreateCodeInterpreter", "*"),
        ("iam:PassRole", "role/runs"),
        ("bedrock-agentcore:DeleteCodeInterpreter", "code-interpreter-custom/a-0123456789"),
    ]


def test_condition_keys_include_tags_permissions_boundary_and_passed_to_service() -> None:
    tags = [{"Key": "team", "Value": "a"}, {"Key": "aws:cloudformation:stack-name", "Value": "s"}]
    permissions = create_permissions(
        "AWS::IAM::Role", "runs", {"Tags": tags, "PermissionsBoundary": "arn:aws:iam::aws:policy/x"}, LOCATION
    )
    assert permissions == [
        Permission(
            action,
            "arn:aws:iam::123456789012:role/runs",
            {
                "aws:RequestTag/team": "a",
                "aws:TagKeys": ["team"],
                "iam:PermissionsBoundary": "arn:aws:iam::aws:policy/x",
            },
        )
        for action in ("iam:CreateRole", "iam:TagRole")
    ]
    role = "arn:aws:iam::123456789012:role/starts"
    rule = create_permissions(
        "AWS::Events::Rule", "daily", {"Targets": [{"Id": "1", "RoleArn": role}, {"Id": "2"}]}, LOCATION
    )
    assert rule[-1] == Permission("iam:PassRole", role, {"iam:PassedToService": "events.amazonaws.com"})


def test_creation_is_evaluated_on_parents_and_later_calls_on_the_tags_of_the_resource() -> None:
    tags = {"Tags": [{"Key": "team", "Value": "a"}]}
    request_keys = {"aws:RequestTag/team": "a", "aws:TagKeys": ["team"]}
    permissions = create_permissions(
        "AWS::EC2::SecurityGroup", "x", {"VpcId": "vpc-1", "SecurityGroupIngress": [], **tags}, LOCATION
    )
    group, vpc = (f"arn:aws:ec2:us-east-1:123456789012:{each}" for each in ("security-group/*", "vpc/vpc-1"))
    assert permissions == [
        Permission("ec2:CreateSecurityGroup", group, request_keys),
        Permission("ec2:CreateSecurityGroup", vpc),
        Permission("ec2:AuthorizeSecurityGroupIngress", group, {"aws:ResourceTag/team": "a"}),
        Permission("ec2:CreateTags", group, request_keys | {"ec2:CreateAction": "CreateSecurityGroup"}),
    ]


def test_updates_and_deletions_have_the_present_tags_as_condition_keys() -> None:
    before = {"Tags": [{"Key": "team", "Value": "a"}], "Description": "x"}
    resource_keys = {"aws:ResourceTag/team": "a"}
    on = "arn:aws:kms:us-east-1:123456789012:key/k"
    assert delete_permissions("AWS::KMS::Key", "k", before, LOCATION) == [
        Permission("kms:ScheduleKeyDeletion", on, resource_keys)
    ]
    described, retagged = before | {"Description": "y"}, before | {"Tags": [{"Key": "team", "Value": "b"}]}
    assert update_permissions("AWS::KMS::Key", "k", before, described, LOCATION) == [
        Permission("kms:UpdateKeyDescription", on, resource_keys)
    ]
    request_keys = {"aws:RequestTag/team": "b", "aws:TagKeys": ["team"]}
    assert update_permissions("AWS::KMS::Key", "k", before, retagged, LOCATION) == [
        Permission("kms:TagResource", on, resource_keys | request_keys)
    ]


def test_a_type_outside_the_table_needs_every_action_of_its_service() -> None:
    assert summary(create_permissions("AWS::Cognito::UserPool", "users", {}, LOCATION)) == [("cognito-idp:*", "*")]
    assert summary(create_permissions("AWS::CDK::Metadata", "x", {}, LOCATION)) == []
    function = "arn:aws:lambda:us-east-1:123456789012:function:answers"
    assert create_permissions("Custom::Thing", "x", {"ServiceToken": function}, LOCATION) == [
        Permission("lambda:InvokeFunction", function)
    ]


KEY = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
ENCRYPTED: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "AWS::Lambda::Function": (
        {"FunctionName": "one", "KmsKeyArn": KEY},
        {("kms:Encrypt", "lambda"), ("kms:CreateGrant", "lambda")},
    ),
    "AWS::StepFunctions::StateMachine": (
        {"StateMachineName": "one", "EncryptionConfiguration": {"KmsKeyId": KEY}},
        {("kms:GenerateDataKey", "states")},
    ),
}


@pytest.mark.parametrize("resource_type", ENCRYPTED)
def test_encrypted_resources_need_their_key_through_their_service(resource_type: str) -> None:
    properties, expected = ENCRYPTED[resource_type]
    plain = {name: value for name, value in properties.items() if name.endswith("Name")}
    created = create_permissions(resource_type, "one", properties, LOCATION)
    changed = update_permissions(resource_type, "one", plain, properties, LOCATION)
    for permissions in (created, changed):
        uses = [each for each in permissions if each.action.startswith("kms:")]
        assert {each.resource for each in uses} == {KEY}
        services = {(each.action, str(each.condition_keys["kms:ViaService"]).partition(".")[0]) for each in uses}
        assert services == expected
    for permissions in (
        create_permissions(resource_type, "one", plain, LOCATION),
        update_permissions(
            resource_type, "one", properties, properties | {"Tags": [{"Key": "a", "Value": "b"}]}, LOCATION
        ),
    ):
        assert not [each for each in permissions if each.action.startswith("kms:")]
