"""Templates for tests of the review: one without findings, and changes that cause findings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandpiper.review.access.expectations import Expectation
from sandpiper.review.building.build import build_model
from sandpiper.review.reading.document import parse_document
from sandpiper.review.reading.source import UNKNOWN_ACCOUNT, TemplateSource
from sandpiper.review.review import review_model
from sandpiper_policy.model.location import Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper.environment.expected_access import ExpectedOutcome
    from sandpiper.review.findings import Finding
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.result import Review
    from sandpiper.review.verdicts.nag_report import NagReport

Template = dict[str, Any]
ACCOUNT = {"Ref": "AWS::AccountId"}
OWN_ACCOUNT = {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
BUCKET_ARN = {"Fn::GetAtt": ["Bucket", "Arn"]}
OBJECTS = {"Fn::Sub": "${Bucket.Arn}/*"}
FOLDER = {"Fn::Sub": "${Bucket.Arn}/tenants/claims/*"}
PUBLIC_ACCESS_BLOCK = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
RUNS_CODE = ("bedrock-agentcore:StartCodeInterpreterSession", "bedrock-agentcore:InvokeCodeInterpreter")
INTERPRETER_ARN = {"Fn::GetAtt": ["Interpreter", "CodeInterpreterArn"]}
EXPECT, NAG_REPORTS = "Expect", "NagReports"


def allow(actions: str | Sequence[str], resource: Any, **elements: Any) -> dict[str, Any]:
    """Returns a statement that allows actions."""
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **elements}


def deny(resource: Any, condition: dict[str, Any]) -> dict[str, Any]:
    """Returns a statement that denies everything in S3 to everyone under a condition."""
    return {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": resource, "Condition": condition}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """Returns a policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(principal: dict[str, Any] | str, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns a trust policy."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return document({**statement, **({"Condition": condition} if condition else {})})


def role(service: str, *statements: dict[str, Any], condition: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns a role of a service with an inline policy."""
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": trust({"Service": f"{service}.amazonaws.com"}, condition),
            "PermissionsBoundary": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:policy/boundary"},
            "Policies": [{"PolicyName": "own", "PolicyDocument": document(*statements)}] if statements else [],
        },
    }


def secure() -> Template:
    """Returns a template without findings: an interpreter in a VPC, its callers, its data and its logs."""
    data = [
        allow(["s3:GetObject", "s3:PutObject"], FOLDER, Condition=OWN_ACCOUNT),
        allow(
            "s3:ListBucket",
            BUCKET_ARN,
            Condition={**OWN_ACCOUNT, "StringLike": {"s3:prefix": "tenants/claims/*"}},
        ),
        allow(
            "kms:Decrypt",
            {"Fn::GetAtt": ["Key", "Arn"]},
            Condition={"ArnLike": {"kms:EncryptionContext:aws:s3:arn": BUCKET_ARN}},
        ),
    ]
    pattern = "arn:${AWS::Partition}:bedrock-agentcore:${AWS::Region}:${AWS::AccountId}:code-interpreter-custom"
    resources: dict[str, Any] = {
        "Interpreter": {
            "Type": "AWS::BedrockAgentCore::CodeInterpreterCustom",
            "Properties": {
                "Name": "claims",
                "ExecutionRoleArn": {"Fn::GetAtt": ["ExecutionRole", "Arn"]},
                "NetworkConfiguration": {
                    "NetworkMode": "VPC",
                    "VpcConfig": {
                        "SecurityGroups": [{"Fn::GetAtt": ["Group", "GroupId"]}],
                        "Subnets": [{"Ref": "Subnet"}],
                    },
                },
                "Tags": {"sandpiper:tenant": "claims"},
            },
        },
        "ExecutionRole": role(
            "bedrock-agentcore",
            *data,
            condition={
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnLike": {"aws:SourceArn": {"Fn::Sub": f"{pattern}/claims-??????????"}},
            },
        ),
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/24"}},
        "FlowLog": {"Type": "AWS::EC2::FlowLog", "Properties": {"ResourceId": {"Ref": "Vpc"}, "ResourceType": "VPC"}},
        "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/25"}},
        "Routes": {"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "Vpc"}}},
        "SubnetRoutes": {
            "Type": "AWS::EC2::SubnetRouteTableAssociation",
            "Properties": {"SubnetId": {"Ref": "Subnet"}, "RouteTableId": {"Ref": "Routes"}},
        },
        "Group": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {
                "GroupDescription": "code",
                "VpcId": {"Ref": "Vpc"},
                "SecurityGroupEgress": [{"DestinationPrefixListId": "pl-1", "IpProtocol": "tcp"}],
            },
        },
        "S3Endpoint": {
            "Type": "AWS::EC2::VPCEndpoint",
            "Properties": {
                "VpcId": {"Ref": "Vpc"},
                "ServiceName": {"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
                "PolicyDocument": document(
                    allow(
                        ["s3:GetObject", "s3:PutObject"],
                        FOLDER,
                        Principal="*",
                        Condition={"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
                    )
                ),
            },
        },
        "FunctionRole": role("lambda", allow(list(RUNS_CODE), INTERPRETER_ARN), *data),
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Role": {"Fn::GetAtt": ["FunctionRole", "Arn"]},
                "ReservedConcurrentExecutions": 5,
                "Environment": {"Variables": {"SANDPIPER_SESSION_SECONDS": '{"one": [300, 900]}'}},
            },
        },
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": {"Ref": "Function"},
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::Sub": "arn:aws:events:${AWS::Region}:${AWS::AccountId}:rule/hourly"},
            },
        },
        "WorkflowRole": role(
            "states",
            allow("lambda:InvokeFunction", {"Fn::GetAtt": ["Function", "Arn"]}),
            condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        ),
        "Workflow": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "RoleArn": {"Fn::GetAtt": ["WorkflowRole", "Arn"]},
                "DefinitionString": '{"StartAt": "Run"}',
                "LoggingConfiguration": {"Level": "ALL", "IncludeExecutionData": False},
            },
        },
        "Key": {
            "Type": "AWS::KMS::Key",
            "Properties": {
                "EnableKeyRotation": True,
                "KeyPolicy": document(
                    allow("kms:*", "*", Principal={"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}})
                ),
            },
        },
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {
                            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"},
                            "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
                        }
                    ]
                },
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                "PublicAccessBlockConfiguration": dict.fromkeys(PUBLIC_ACCESS_BLOCK, True),
                "VersioningConfiguration": {"Status": "Enabled"},
            },
        },
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": {"Ref": "Bucket"},
                "PolicyDocument": document(
                    deny([BUCKET_ARN, OBJECTS], {"NumericLessThan": {"s3:TlsVersion": 1.2}}),
                    deny(
                        OBJECTS,
                        {
                            "ArnNotLike": {
                                "aws:PrincipalArn": [
                                    {"Fn::GetAtt": ["ExecutionRole", "Arn"]},
                                    {"Fn::GetAtt": ["FunctionRole", "Arn"]},
                                ]
                            }
                        },
                    ),
                    deny([BUCKET_ARN, OBJECTS], {"Bool": {"aws:SecureTransport": "false"}}),
                ),
            },
        },
        "Logs": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"RetentionInDays": 30, "KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
        },
        "Trail": {
            "Type": "AWS::CloudTrail::Trail",
            "Properties": {
                "IsLogging": True,
                "EnableLogFileValidation": True,
                "AdvancedEventSelectors": [
                    {
                        "FieldSelectors": [
                            {"Field": "eventCategory", "Equals": ["Data"]},
                            {
                                "Field": "resources.type",
                                "Equals": ["AWS::BedrockAgentCore::CodeInterpreterCustom"],
                            },
                        ]
                    },
                    {
                        "FieldSelectors": [
                            {"Field": "eventCategory", "Equals": ["Data"]},
                            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
                        ]
                    },
                ],
            },
        },
    }
    # A copy, in which no part appears twice, so that a change of one resource does not change another one.
    return json.loads(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))


def source_of(template: Template, name: str = "app") -> TemplateSource:
    """Returns a template as the review reads it from a file."""
    return TemplateSource(name, parse_document(json.dumps(template, indent=1).encode(), f"{name}.json"))


def expectation(principal: str, operation: str, access: ExpectedOutcome) -> Expectation:
    """Returns an expectation about the tenant of the secure template, on the first line of the template."""
    return Expectation(principal, operation, access, ("claims",), UNKNOWN_ACCOUNT, 0, Location("app.json", 1))


def model_of(*templates: Template, expectations: Sequence[Expectation] = ()) -> ReviewModel:
    """Returns the model of templates, which are stacks `app`, `app2` and so on.

    Expectations are also in the section `EXPECT` of a template, and reports of rule packs in `NAG_REPORTS`.
    CloudFormation does not have these sections.
    """
    templates, expected = tuple(map(dict, templates)), [*expectations]
    nag_reports: list[NagReport] = []
    for one in templates:
        expected += one.pop(EXPECT, ())
        nag_reports += one.pop(NAG_REPORTS, ())
    names = ("app", *(f"app{number}" for number in range(2, len(templates) + 1)))
    sources = [source_of(one, name) for one, name in zip(templates, names, strict=True)]
    return replace(build_model("test", sources, expected), nag_reports=tuple(nag_reports))


def review_of(*templates: Template) -> Review:
    """Returns the review of templates by the rules, without proofs, which have their own tests."""
    return review_model(model_of(*templates), properties=())


def findings_of(template: Template, rule: str) -> list[Finding]:
    """Returns the open findings of a rule in a template."""
    return [one for one in review_of(template).open_findings if one.rule_id == rule]
