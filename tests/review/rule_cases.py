"""For each rule: changes to a template without findings, after which the rule finds something or still nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from sandpiper.review.verdicts.nag_report import NagReport
from sandpiper_policy.model.location import Location
from tests.support.review_templates import (
    ACCOUNT,
    BUCKET_ARN,
    EXPECT,
    FOLDER,
    INTERPRETER_ARN,
    NAG_REPORTS,
    OBJECTS,
    RUNS_CODE,
    allow,
    document,
    expectation,
    role,
    trust,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.review_templates import Template

EXECUTION = "ExecutionRole.Properties."
TRUST = EXECUTION + "AssumeRolePolicyDocument"
CONDITION = TRUST + ".Statement.0.Condition"
OWN = EXECUTION + "Policies.0.PolicyDocument.Statement"
NETWORK = "Interpreter.Properties.NetworkConfiguration"
SERVICE = {"Service": "bedrock-agentcore.amazonaws.com"}
DATA = {"sandpiper:tenant": "other"}
OTHER = {"AWS": "999988887777"}
OTHER_ROOT = {"AWS": "arn:aws:iam::999988887777:root"}


def put(path: str, value: Any) -> Callable[[Template], None]:
    """Returns a change that sets the value at a path below the resources."""

    def change(template: Template) -> None:
        *parents, last = path.split(".")
        target: Any = template["Resources"]
        for step in parents:
            target = target[int(step)] if step.isdecimal() else target.setdefault(step, {})
        target[int(last) if last.isdecimal() else last] = deepcopy(value)

    return change


def drop(path: str) -> Callable[[Template], None]:
    """Returns a change that removes the value at a path."""

    def change(template: Template) -> None:
        *parents, last = path.split(".")
        target: Any = template["Resources"]
        for step in parents:
            target = target[int(step) if step.isdecimal() else step]
        del target[int(last) if last.isdecimal() else last]

    return change


def add(name: str, type_: str, **properties: Any) -> Callable[[Template], None]:
    """Returns a change that adds a resource."""
    return put(name, {"Type": type_, "Properties": properties})


def grant(*statements: dict[str, Any], to: str = "ExecutionRole") -> Callable[[Template], None]:
    """Returns a change that adds statements to a role."""

    def change(template: Template) -> None:
        template["Resources"][to]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"] += statements

    return change


def both(*changes: Callable[[Template], None]) -> Callable[[Template], None]:
    """Returns a change that makes several changes."""

    def change(template: Template) -> None:
        for one in changes:
            one(template)

    return change


def section(name: str, value: Any) -> Callable[[Template], None]:
    """Returns a change that adds a section to the template."""

    def change(template: Template) -> None:
        template[name] = value

    return change


def crowd(template: Template) -> None:
    """Adds roles with more grants than a review can hold: each passes each."""
    member = role("lambda", allow("iam:PassRole", "*"))
    template["Resources"] |= {f"Member{number}": member for number in range(460)}


PUBLIC = put(NETWORK, {"NetworkMode": "PUBLIC"})
SANDBOX = put(NETWORK, {"NetworkMode": "SANDBOX"})
ACCESS = {"Reason": "pip", "Owner": "analysts", "Expires": "2999-12-31"}
OTHER_FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:other"
OTHER_STACK = "arn:aws:cloudformation:us-east-1:111122223333:stack/other/*"
OTHER_FOLDER = {"Fn::Sub": "${Bucket.Arn}/tenants/other/*"}
SECOND = both(
    add(
        "Second",
        "AWS::BedrockAgentCore::CodeInterpreterCustom",
        Name="second",
        NetworkConfiguration={"NetworkMode": "SANDBOX"},
        ExecutionRoleArn={"Fn::GetAtt": ["SecondRole", "Arn"]},
        Tags=DATA,
    ),
    put("SecondRole", role("bedrock-agentcore", allow("s3:PutObject", OBJECTS))),
)
"""A second interpreter, of another tenant, which writes to the whole bucket."""

FAILING: dict[str, tuple[Callable[[Template], None], ...]] = {
    "network-mode": (drop(NETWORK + ".NetworkMode"), put(NETWORK + ".NetworkMode", {"Ref": "Mode"})),
    "network-public": (
        PUBLIC,
        both(PUBLIC, put("Interpreter.Metadata", {"Sandpiper::PublicAccess": {**ACCESS, "Expires": "2020-01-01"}})),
        both(PUBLIC, put("Interpreter.Metadata", {"Sandpiper::PublicAccess": {**ACCESS, "Expires": "never"}})),
        both(PUBLIC, put("Interpreter.Metadata", {"Sandpiper::PublicAccess": {**ACCESS, "Owner": ""}})),
    ),
    "network-sandbox": (SANDBOX,),
    "network-egress": (
        put("Group.Properties.SecurityGroupEgress.0", {"CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}),
        put("Group.Properties.SecurityGroupEgress.0", {"CidrIpv6": "::/0", "IpProtocol": "-1"}),
        drop("Group.Properties.SecurityGroupEgress"),
        add("Rule", "AWS::EC2::SecurityGroupEgress", GroupId={"Ref": "Group"}, CidrIp="0.0.0.0/0", IpProtocol="-1"),
    ),
    "network-route": (
        add("Route", "AWS::EC2::Route", RouteTableId={"Ref": "Routes"}, DestinationCidrBlock="0.0.0.0/0"),
    ),
    "network-unknown": (
        put(NETWORK + ".VpcConfig.Subnets", ["subnet-0123456789abcdef0"]),
        put(NETWORK + ".VpcConfig.SecurityGroups", ["{{resolve:ssm:/network/group}}"]),
        drop(NETWORK + ".VpcConfig"),
    ),
    "network-endpoint": (
        drop("S3Endpoint.Properties.PolicyDocument"),
        put("S3Endpoint.Properties.PolicyDocument", document(allow("*", "*", Principal="*"))),
        put("S3Endpoint.Properties.PolicyDocument.Statement.0.Resource", OBJECTS),
    ),
    "network-flow-logs": (drop("FlowLog"),),
    "trust-service": (
        put(TRUST + ".Statement.0.Principal", {**SERVICE, "AWS": ACCOUNT}),
        put(TRUST + ".Statement.0.Principal", {"Service": ["lambda.amazonaws.com", SERVICE["Service"]]}),
    ),
    "trust-source-account": (
        drop(CONDITION + ".StringEquals"),
        put(CONDITION + ".StringEquals", {"aws:SourceAccount": "999988887777"}),
        put(CONDITION, {"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}}),
        put(CONDITION, {"StringLike": {"aws:SourceAccount": "*"}}),
    ),
    "trust-source-arn": (
        drop(CONDITION + ".ArnLike"),
        put(CONDITION, {"ArnLikeIfExists": {"aws:SourceArn": INTERPRETER_ARN}}),
        put(CONDITION, {"ForAllValues:ArnLike": {"aws:SourceArn": INTERPRETER_ARN}}),
    ),
    "trust-exact-interpreter": tuple(
        put(
            CONDITION + ".ArnLike",
            {
                "aws:SourceArn": {
                    "Fn::Sub": "arn:aws:bedrock-agentcore:${AWS::Region}:${AWS::AccountId}:code-interpreter-custom/"
                    + name
                }
            },
        )
        for name in ("claims*", "*", "claims_other-??????????", "claim?-??????????")
    ),
    "trust-existing-role": (put("Interpreter.Properties.ExecutionRoleArn", "arn:aws:iam::111122223333:role/existing"),),
    "trust-everyone": (
        put(TRUST, trust("*")),
        put("FunctionRole.Properties.AssumeRolePolicyDocument", trust({"AWS": "999988887777"})),
        put("FunctionRole.Properties.AssumeRolePolicyDocument", trust({"AWS": "arn:aws:iam::999988887777:root"})),
        put(
            "FunctionRole.Properties.AssumeRolePolicyDocument",
            document({"Effect": "Allow", "NotPrincipal": {"AWS": "999988887777"}, "Action": "sts:AssumeRole"}),
        ),
    ),
    "trust-confused-deputy": (
        put("WorkflowRole.Properties.AssumeRolePolicyDocument", trust({"Service": "states.amazonaws.com"})),
    ),
    "trust-passed": (
        grant(
            allow(
                "iam:PassRole",
                {"Fn::GetAtt": ["ExecutionRole", "Arn"]},
                Condition={"StringEquals": {"iam:PassedToService": SERVICE["Service"]}},
            ),
            to="WorkflowRole",
        ),
    ),
    "role-actions": (
        grant(allow("s3:Get*", FOLDER)),
        grant({"Effect": "Allow", "NotAction": "iam:*", "Resource": FOLDER}),
    ),
    "role-resources": (
        grant(allow("s3:GetObject", "*")),
        grant(allow("s3:GetObject", "arn:aws:s3:::data-*/tenants/claims/*")),
        grant({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": FOLDER}),
        grant(allow("dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/*")),
    ),
    "role-s3-prefix": (
        grant(allow("s3:GetObject", OBJECTS)),
        grant(allow("s3:GetObject", {"Fn::Sub": "${Bucket.Arn}/tenants/claims*"})),
        grant(allow("s3:GetObject", {"Fn::Sub": "${Bucket.Arn}/*/claims/*"})),
    ),
    "role-s3-list": (
        grant(allow("s3:ListBucket", BUCKET_ARN)),
        grant(allow("s3:ListBucket", BUCKET_ARN, Condition={"StringLike": {"s3:prefix": "tenants/claims*"}})),
        grant(allow("s3:ListBucket", BUCKET_ARN, Condition={"StringLikeIfExists": {"s3:prefix": "a/*"}})),
    ),
    "role-forbidden-actions": tuple(
        grant(allow(action, "arn:aws:iam::111122223333:role/other"))
        for action in ("iam:PassRole", "sts:AssumeRole", "IAM:GetUser", "bedrock-agentcore:Anything", "*")
    ),
    "role-resource-account": (drop(OWN + ".0.Condition"),),
    "role-boundary": (drop(EXECUTION + "PermissionsBoundary"),),
    "role-shared": (both(SECOND, put("Second.Properties.ExecutionRoleArn", {"Fn::GetAtt": ["ExecutionRole", "Arn"]})),),
    "role-managed-policy": (put(EXECUTION + "ManagedPolicyArns", ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]),),
    "role-foreign-bucket": (grant(allow("s3:PutObject", "arn:aws:s3:::partner/inbox/*")),),
    "role-key": (drop(OWN + ".2.Condition"),),
    "callers-exact": tuple(
        grant(allow(list(RUNS_CODE), resource), to="FunctionRole")
        for resource in (
            "*",
            "arn:aws:bedrock-agentcore:*:111122223333:code-interpreter-custom/claims-??????????",
            "arn:aws:bedrock-agentcore:us-east-1:111122223333:code-interpreter-custom/*",
            "arn:aws:bedrock-agentcore:us-east-1:111122223333:code-interpreter-custom/claims*",
        )
    ),
    "callers-create": (grant(allow("bedrock-agentcore:CreateCodeInterpreter", "*"), to="FunctionRole"),),
    "callers-pass-role": (
        grant(allow("iam:PassRole", "arn:aws:iam::111122223333:role/*"), to="FunctionRole"),
        grant(allow("iam:*", "arn:aws:iam::111122223333:role/one"), to="FunctionRole"),
    ),
    "callers-exceeded": (
        drop("FunctionRole.Properties.Policies.0.PolicyDocument.Statement.1"),
        put(
            "FunctionRole.Properties.Policies.0.PolicyDocument.Statement.1.Resource",
            {"Fn::Sub": "${Bucket.Arn}/other/*"},
        ),
    ),
    "callers-tenants": (put("FunctionRole.Properties.Tags", [{"Key": "sandpiper:tenant", "Value": "other"}]),),
    "callers-folders": (SECOND,),
    "callers-function": (
        drop("Permission.Properties.SourceArn"),
        both(drop("Permission.Properties.SourceArn"), put("Permission.Properties.Principal", "*")),
        add("Url", "AWS::Lambda::Url", TargetFunctionArn={"Ref": "Function"}, AuthType="NONE"),
    ),
    "access-expected": (
        section(EXPECT, [expectation("app/FunctionRole", "start a session", "denied")]),
        section(EXPECT, [expectation("app/WorkflowRole", "run code in a session", "denied")]),  # through the function
        section(EXPECT, [expectation("reader of the account", "start a session", "allowed")]),
        section(EXPECT, [expectation("reader of the account", "read results", "denied")]),  # no bucket with tenants
    ),
    "data-private": (
        drop("Bucket.Properties.PublicAccessBlockConfiguration"),
        put("Bucket.Properties.PublicAccessBlockConfiguration.BlockPublicPolicy", False),
    ),
    "data-tls": (
        drop("BucketPolicy.Properties.PolicyDocument.Statement.0"),
        drop("BucketPolicy.Properties.PolicyDocument.Statement.2"),  # plain HTTP has no version of TLS
        put("BucketPolicy.Properties.PolicyDocument.Statement.0.Condition", {"NumericLessThan": {"s3:TlsVersion": 1}}),
    ),
    "data-encryption": (drop("Bucket.Properties.BucketEncryption"),),
    "data-versions": (put("Bucket.Properties.VersioningConfiguration.Status", "Suspended"),),
    "data-acls": (drop("Bucket.Properties.OwnershipControls"),),
    "data-other-identities": (drop("BucketPolicy.Properties.PolicyDocument.Statement.1"),),
    "data-customer-keys": (
        put("Bucket.Properties.BucketEncryption", {"ServerSideEncryptionConfiguration": [{"BucketKeyEnabled": True}]}),
    ),
    "data-public-policy": (
        put("BucketPolicy.Properties.PolicyDocument.Statement.0", allow("s3:GetObject", OBJECTS, Principal="*")),
        put("Key.Properties.KeyPolicy.Statement.0.Principal", {"AWS": "*"}),
        add("Topics", "AWS::SNS::TopicPolicy", Topics=["t"], PolicyDocument=document(allow("*", "*", Principal="*"))),
    ),
    "data-other-account": (
        both(drop("Permission.Properties.SourceArn"), put("Permission.Properties.Principal", OTHER_ROOT["AWS"])),
        put("BucketPolicy.Properties.PolicyDocument.Statement.0", allow("s3:GetObject", OBJECTS, Principal=OTHER_ROOT)),
        add("Topics", "AWS::SNS::TopicPolicy", Topics=["t"], PolicyDocument=document(allow("*", "*", Principal=OTHER))),
    ),
    "data-key-policy": (put("Key.Properties.KeyPolicy.Statement.0.Principal", {"AWS": "999988887777"}),),
    "data-key-rotation": (drop("Key.Properties.EnableKeyRotation"),),
    "audit-code": (
        drop("Trail"),
        put("Trail.Properties.IsLogging", False),
        drop("Trail.Properties.AdvancedEventSelectors"),
    ),
    "audit-data": (drop("Trail.Properties.AdvancedEventSelectors.1"),),
    "audit-log-files": (drop("Trail.Properties.EnableLogFileValidation"),),
    "logs-retention": (drop("Logs.Properties.RetentionInDays"),),
    "logs-encryption": (drop("Logs.Properties.KmsKeyId"),),
    "logs-execution-data": (put("Workflow.Properties.LoggingConfiguration.IncludeExecutionData", True),),
    "logs-workflows": (drop("Workflow.Properties.LoggingConfiguration"),),
    "secrets-variables": tuple(
        put("Function.Properties.Environment.Variables", {name: value})
        for name, value in (
            ("DB_PASSWORD", "correct horse battery"),
            ("ANY", "AKIAIOSFODNN7EXAMPLE"),
            ("ANY", "{{resolve:secretsmanager:database}}"),
        )
    ),
    "secrets-history": (
        put("Workflow.Properties.DefinitionString", '{"Password": "{{resolve:secretsmanager:database}}"}'),
        put("Workflow.Properties.DefinitionString", {"Fn::Sub": '{"Key": "AKIAIOSFODNN7EXAMPLE"}'}),
    ),
    "limits-concurrency": (drop("Function.Properties.ReservedConcurrentExecutions"),),
    "limits-sessions": (drop("Function.Properties.Environment"),),
    "exceptions-complete": (
        put("Bucket.Metadata", {"Sandpiper::Accepted": {"data-versions": {"Reason": "a copy of public data"}}}),
    ),
    "exceptions-unknown-role": (put("Interpreter.Properties.ExecutionRoleArn", {"Ref": "Role"}),),
    "escalation-pass-role": (
        grant(allow(["iam:PassRole", "bedrock-agentcore:CreateCodeInterpreter", *RUNS_CODE], "*"), to="WorkflowRole"),
        grant(allow(["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"], "*"), to="WorkflowRole"),
        grant(allow(["iam:Pass*", "states:*"], "*"), to="WorkflowRole"),
        grant(allow(["iam:PassRole", "lambda:UpdateFunctionConfiguration"], OTHER_FUNCTION), to="WorkflowRole"),
        grant(allow(["iam:PassRole", "cloudformation:CreateStack"], "*"), to="WorkflowRole"),
        grant({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, to="WorkflowRole"),
    ),
    "escalation-interpreter": (
        grant(allow("iam:PutRolePolicy", "*")),
        put(EXECUTION + "ManagedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"]),
    ),
    "escalation-policies": tuple(
        grant(allow(action, "arn:aws:iam::111122223333:*"), to="WorkflowRole")
        for action in ("iam:CreatePolicyVersion", "iam:Attach*", "iam:*", "*")
    ),
    "escalation-any-program": tuple(
        grant(allow(action, "*"), to="WorkflowRole")
        for action in (
            *("lambda:UpdateFunctionCode", "states:UpdateStateMachine", "sts:AssumeRole", "kms:PutKeyPolicy"),
            *(
                "s3:PutBucketPolicy",
                "ssm:SendCommand",
                "ec2-instance-connect:SendSSHPublicKey",
                "glue:UpdateDevEndpoint",
            ),
            "sagemaker:CreatePresignedNotebookInstanceUrl",
        )
    ),
    "escalation-program": (
        grant(allow("lambda:UpdateFunctionCode", {"Fn::GetAtt": ["Function", "Arn"]}), to="WorkflowRole"),
        grant(allow("states:UpdateStateMachine", {"Ref": "Workflow"}), to="FunctionRole"),
        grant(allow("kms:PutKeyPolicy", {"Fn::GetAtt": ["Key", "Arn"]}), to="WorkflowRole"),
        grant(allow("s3:PutBucketPolicy", BUCKET_ARN), to="WorkflowRole"),
    ),
    "escalation-steps": (
        # The workflow invokes the function, which runs as a role that can change permissions.
        grant(allow("iam:PutRolePolicy", "*"), to="FunctionRole"),
        both(
            grant(allow("iam:PutUserPolicy", "*")),
            grant(allow("states:StartExecution", {"Ref": "Workflow"}), to="FunctionRole"),
        ),
    ),
    "escalation-outside": (
        grant(allow("lambda:UpdateFunctionCode", OTHER_FUNCTION), to="WorkflowRole"),
        grant(allow(["cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"], OTHER_STACK)),
        grant(allow("ssm:StartSession", "arn:aws:ec2:us-east-1:111122223333:instance/i-1"), to="FunctionRole"),
    ),
    "template-unresolved": (
        grant(allow("s3:GetObject", {"Fn::Sub": "${Folder}/a/*"}), to="FunctionRole"),
        grant(allow("s3:GetObject", {"Fn::ImportValue": "folder"}), to="FunctionRole"),
        grant(allow("s3:GetObject", {"Fn::Unknown": "folder"}), to="FunctionRole"),
    ),
    "template-policy": (
        grant({"Effect": "Allow", "Action": "everything", "Resource": "*"}, to="FunctionRole"),
        grant({"Effect": "Permit", "Action": "s3:GetObject", "Resource": "*"}, to="FunctionRole"),
        grant({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "bucket"}, to="FunctionRole"),
        put(OWN, []),
        put("Key.Properties.KeyPolicy", "not JSON"),
    ),
    "template-characters": (
        grant(allow("s3:GetObject", "arn:aws:s3:::dаta/a/*"), to="FunctionRole"),  # a Cyrillic letter
        grant(allow("s3:GetObject", "arn:aws:s3:::data\u202e/a/*"), to="FunctionRole"),
        put("FunctionRole.Properties.AssumeRolePolicyDocument", trust({"Service": "lambdа.amazonaws.com"})),
    ),
    "template-report": (
        section(NAG_REPORTS, [NagReport(Location("app.json", 1), problem="is not JSON (Expecting value)")]),
    ),
    "template-macro": (
        section("Transform", "AWS::LanguageExtensions"),
        section("Transform", [{"Name": "Own"}]),
        add("Serverless", "AWS::Serverless::Function"),
    ),
    "template-grants": (crowd,),
}
"""By rule: changes, after each of which it has a finding."""

PASSING: dict[str, tuple[Callable[[Template], None], ...]] = {
    "network-public": (both(PUBLIC, put("Interpreter.Metadata", {"Sandpiper::PublicAccess": ACCESS})),),
    "network-endpoint": (
        put(
            "S3Endpoint.Properties",
            {
                "VpcId": {"Ref": "Vpc"},
                "ServiceName": "com.amazonaws.us-east-1.logs",
                "PolicyDocument": document(
                    allow("*", "*", Principal="*", Condition={"StringEquals": {"aws:PrincipalAccount": ACCOUNT}})
                ),
            },
        ),
    ),
    "network-egress": (
        add("Other", "AWS::EC2::SecurityGroup", SecurityGroupEgress=[{"CidrIp": "0.0.0.0/0"}]),  # of no interpreter
    ),
    "trust-source-arn": (put(CONDITION, {"ArnEquals": {"aws:SourceArn": INTERPRETER_ARN}}),),
    "trust-exact-interpreter": (put(CONDITION + ".ArnLike", {"aws:SourceArn": INTERPRETER_ARN}),),
    "trust-everyone": (
        put(
            "FunctionRole.Properties.AssumeRolePolicyDocument",
            trust({"AWS": "999988887777"}, {"StringEquals": {"sts:ExternalId": "contract-7"}}),
        ),
    ),
    "role-s3-prefix": (grant(allow("s3:GetObject", {"Fn::Sub": "${Bucket.Arn}/tenants/claims/one.csv"})),),
    "callers-folders": (
        both(
            SECOND,
            put(
                "SecondRole.Properties.Policies.0.PolicyDocument.Statement.0.Resource",
                OTHER_FOLDER,
            ),
        ),
    ),
    "template-report": (section(NAG_REPORTS, [NagReport(Location("app.json", 1))]),),
    "access-expected": (
        section(EXPECT, [expectation("app/FunctionRole", "start a session", "allowed")]),
        section(EXPECT, [expectation("app/ExecutionRole", "start a session", "denied")]),
        section(EXPECT, [expectation("reader of the account", "run code in a session", "denied")]),
    ),
    "audit-data": (
        both(drop("Trail"), put("Bucket.Properties.LoggingConfiguration", {"DestinationBucketName": {"Ref": "Logs"}})),
    ),
    "data-tls": (
        both(
            drop("BucketPolicy.Properties.PolicyDocument.Statement.2"),
            put(
                "BucketPolicy.Properties.PolicyDocument.Statement.0.Condition",
                {"NumericLessThanIfExists": {"s3:TlsVersion": 1.2}},
            ),
        ),
    ),
    "data-customer-keys": (
        both(
            put("Bucket.Properties.BucketEncryption", {"ServerSideEncryptionConfiguration": [{}]}),
            put(
                "BucketPolicy.Properties.PolicyDocument.Statement.0",
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:PutObject",
                    "Resource": OBJECTS,
                    "Condition": {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}},
                },
            ),
        ),
    ),
    "secrets-variables": (
        put("Function.Properties.Environment.Variables.TOKEN_SECRET_ARN", "arn:aws:secretsmanager:eu:1:secret:a"),
    ),
    "escalation-pass-role": (
        grant(
            allow(["lambda:CreateFunction", "lambda:InvokeFunction"], "*"),
            allow("iam:PassRole", "*", Condition={"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com"}}),
            to="WorkflowRole",
        ),
        grant(
            allow(["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"], "*"),
            {"Effect": "Deny", "Action": "lambda:Create*", "Resource": "*"},
            to="WorkflowRole",
        ),
    ),
    "escalation-any-program": (
        grant(
            allow("kms:CreateGrant", "*", Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
            to="WorkflowRole",
        ),
    ),
    "escalation-outside": (
        grant(allow("sts:AssumeRole", "arn:aws:iam::111122223333:role/other"), to="WorkflowRole"),
        grant(allow("lambda:UpdateFunctionCode", {"Fn::GetAtt": ["Function", "Arn"]}), to="WorkflowRole"),
    ),
    "template-unresolved": (
        both(
            section("Parameters", {"Folder": {"Type": "String", "Default": "arn:aws:s3:::data"}}),
            grant(allow("s3:GetObject", {"Fn::Sub": "${Folder}/a/*"}), to="FunctionRole"),
        ),
    ),
    "exceptions-complete": (
        put(
            "Bucket.Metadata",
            {"Sandpiper::Accepted": {"data-versions": {"Reason": "a copy", "Owner": "us", "Expires": "2999-01-01"}}},
        ),
    ),
}
"""By rule: changes after which it still has no open finding. Every rule passes the unchanged template, too."""
